package shuffle

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"sync/atomic"

	"weft/internal/metrics"
	"weft/internal/sockio"
	"weft/shuffle/quota"
)

// Owner answers for the blocks of an executor that are not registered map outputs: its session, by asking the JVM.
type Owner interface {
	// OpenBlock gives the block as it is now. It blocks until the executor has answered or ctx ends. An error may be a *BlockError.
	// It is called from many goroutines.
	OpenBlock(ctx context.Context, id BlockID) (OwnedBlock, error)

	// AskBlock is OpenBlock for who does not wait: done is called once, by any goroutine, perhaps before AskBlock returns, and does not block.
	// False: the question would have to wait for others. Then it is not asked, and done not called.
	AskBlock(ctx context.Context, id BlockID, done func(OwnedBlock, error)) bool
}

// OwnedBlock is a block as its executor gives it: bytes in memory, or a range of a file beneath the executor's directories.
type OwnedBlock struct {
	Mem []byte // valid until Close

	MemFile   *os.File // unless nil: the memory file in which Mem lies, at MemOffset; open until Close
	MemOffset int64
	CRC       *uint32 // unless nil: the CRC32C of Mem, as its owner has computed it

	Path           string // set: the block is bytes [Offset, Offset+Length) of this file
	Offset, Length int64

	Close func() // called once, when the block is needed no more; may be nil
}

// RegistryOptions bound what a Registry keeps. The zero value has the defaults of weft's options.
type RegistryOptions struct {
	FilesMax      int   // data files kept open (weft.files.max); 0: 1024
	LayoutBytes   int64 // memory for what was read from index files, and for checksums; 0: 64 MiB
	SkipChecksums bool  // serve blocks without checksums (weft.checksum=false)

	Closing func(*os.File) // unless nil, told of each data file before it is closed, when nobody uses it

	Keeping *Keeping // nil: map outputs end with their executors

	Quotas Quotas
}

// Quotas divide what a Registry holds among applications. A nil pool has no bound.
type Quotas struct {
	Descriptors *quota.Pool // one for each executor, and those of its directories
	MapOutputs  *quota.Pool // bytes of memory for what is known of registered map outputs
	Files       *quota.Pool // data files open
}

const (
	defaultFilesMax    = 1024
	defaultLayoutBytes = 64 << 20
	maxLocalDirs       = math.MaxUint16
	maxMapOutputs      = 1 << 20 // of one executor
)

// Registry knows the executors that have a session with this daemon, or had one and left map outputs, by application, and their map outputs. Applications are strangers
// to each other: the token that the first executor brought opens an application's blocks and no other's. It is safe for concurrent use
// and does no I/O under its locks.
type Registry struct {
	outputs *mapOutputs
	metrics *metrics.Set
	log     *slog.Logger
	keeper  *keeper // nil: nothing is kept
	quotas  Quotas
	ending  atomic.Bool // this daemon ends, and executors depart for that

	mu       sync.RWMutex
	apps     map[string]*application
	departed []*Executor // that have ended and are here all the same, who ended first at the front
}

// application lives as long as it has executors here.
type application struct {
	token     [32]byte
	encrypted bool
	uid       uint32
	executors map[string]*Executor
	unwatch   func() // ends the watch of its driver; nil: nothing is kept for it
}

// NewRegistry makes an empty registry. It counts map outputs and open files in m.
func NewRegistry(opts RegistryOptions, m *metrics.Set, log *slog.Logger) *Registry {
	if opts.FilesMax == 0 {
		opts.FilesMax = defaultFilesMax
	}
	if opts.LayoutBytes == 0 {
		opts.LayoutBytes = defaultLayoutBytes
	}
	var k *keeper
	if opts.Keeping != nil {
		k = &keeper{opts: *opts.Keeping}
	}
	return &Registry{
		keeper: k,
		outputs: &mapOutputs{
			files:     newFileCache(opts.FilesMax, opts.Quotas.Files, m.OpenFiles, opts.Closing),
			layouts:   newLayoutCache(opts.LayoutBytes),
			checksums: !opts.SkipChecksums,
			log:       log,

			readCached: sockio.ReadCached,
		},
		quotas:  opts.Quotas,
		metrics: m,
		log:     log,
		apps:    make(map[string]*application),
	}
}

// Join begins the membership of an executor, whose processes run as user uid, until Leave. The first executor of an application
// fixes the application's token, user and whether its blocks have to be encrypted; one that differs in these is refused. dirs are absolute paths of directories of that
// user in which no other application has a directory registered. An executor that joins again takes the place of its former
// membership, whose session is dying and whose map outputs are forgotten. The error is one line for the executor's log.
func (r *Registry) Join(app App, executor string, uid uint32, dirs []string, owner Owner) (*Executor, error) {
	if app.ID == "" || executor == "" {
		return nil, errors.New("an application id and an executor id are needed; this is a bug of the client")
	}
	if app.ID == ProbeApp.ID {
		return nil, fmt.Errorf("application id %s belongs to the daemons themselves; give the application another one", app.ID)
	}
	if len(dirs) > maxLocalDirs {
		return nil, fmt.Errorf("%d local directories; at most %d are supported", len(dirs), maxLocalDirs)
	}
	if err := r.mayJoin(app, uid); err != nil { // before anything is taken in its name
		return nil, err
	}
	held := int64(1 + len(dirs))
	if !r.takeDescriptors(app.ID, held) {
		return nil, fmt.Errorf("the executors of application %s here have as many directories as its share (weft.app.share) of the open files allows; "+
			"raise the limit of open files (LimitNOFILE)", app.ID)
	}
	opened, err := openLocalDirs(dirs, uid)
	if err != nil {
		r.quotas.Descriptors.Give(app.ID, held)
		return nil, fmt.Errorf("%w; register directories that the executor created, and which the daemon sees at the same path", err)
	}
	opened.app = app.ID
	e := &Executor{
		registry: r, app: app.ID, token: app.Token, encrypted: app.Encrypted, name: executor, owner: owner, dirs: opened, held: held,
		shuffles: make(map[uint32]map[uint64]*mapOutput),
	}
	former, err := r.admit(e, app)
	if err != nil {
		opened.close()
		r.quotas.Descriptors.Give(app.ID, held)
		return nil, err
	}
	if former != nil {
		r.log.Info("an executor came back before its old session ended", "app", app.ID, "executor", executor)
		former.end()
	}
	return e, nil
}

// mayJoin tells whether the token, the need for encryption and the user are the application's, if that is here.
func (r *Registry) mayJoin(app App, uid uint32) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.apps[app.ID].check(app, uid)
}

func (a *application) check(app App, uid uint32) error {
	switch {
	case a == nil:
		return nil
	case !sameToken(a.token, app.Token):
		return fmt.Errorf("application %s is here with another token; an application id is used by one driver at a time", app.ID)
	case a.encrypted != app.Encrypted:
		return fmt.Errorf("application %s is here with blocks that have to be encrypted: %v, and now %v; give its executors the same "+
			"spark.network.crypto, spark.authenticate and spark.ssl.rpc keys", app.ID, a.encrypted, app.Encrypted)
	case a.uid != uid:
		return fmt.Errorf("application %s is here as user %d, not %d; run its executors as one user", app.ID, a.uid, uid)
	}
	return nil
}

// admit puts e among its application's executors and returns the one whose place it took.
func (r *Registry) admit(e *Executor, app App) (former *Executor, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.apps[app.ID]
	if err := known.check(app, e.dirs.uid); err != nil {
		return nil, err
	}
	for id, other := range r.apps {
		if id == app.ID {
			continue
		}
		for _, stranger := range other.executors {
			if dir, ok := e.dirs.overlaps(stranger.dirs); ok {
				return nil, fmt.Errorf("local directory %s overlaps with one of another application; give each its own", dir)
			}
		}
	}
	if known == nil {
		known = &application{token: app.Token, encrypted: app.Encrypted, uid: e.dirs.uid, executors: make(map[string]*Executor)}
		r.apps[app.ID] = known
	}
	former = known.executors[e.name]
	known.executors[e.name] = e
	return former, nil
}

// dismiss takes e out, unless another one has its place already.
func (r *Registry) dismiss(e *Executor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	app := r.apps[e.app]
	if app == nil || app.executors[e.name] != e {
		return
	}
	delete(app.executors, e.name)
	if len(app.executors) == 0 {
		delete(r.apps, e.app)
		if app.unwatch != nil {
			app.unwatch()
		}
	}
}

// app is the application of that id, if it has executors here.
func (r *Registry) app(id string) (App, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known := r.apps[id]
	if known == nil {
		return App{}, errNoApp(id)
	}
	return App{ID: id, Token: known.token, Encrypted: known.encrypted}, nil
}

func errNoApp(id string) *BlockError {
	return Errorf(ReasonOwnerGone, "no executor of application %s has a session here", id)
}

// find gives the executor that a request names, if the request has the token of that executor's application.
func (r *Registry) find(app App, executor string) (*Executor, *BlockError) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	known := r.apps[app.ID]
	if known == nil {
		return nil, errNoApp(app.ID)
	}
	if !sameToken(known.token, app.Token) {
		return nil, Errorf(ReasonPeerRefused, "the token is not that of application %s", app.ID)
	}
	if known.encrypted && !app.Encrypted { // it was opened when another one had that id
		return nil, Errorf(ReasonEncrypted, "the blocks of application %s have to be encrypted", app.ID)
	}
	e := known.executors[executor]
	if e == nil {
		return nil, Errorf(ReasonOwnerGone, "executor %s of application %s has no session here", executor, app.ID)
	}
	return e, nil
}

func sameToken(a, b [32]byte) bool { return subtle.ConstantTimeCompare(a[:], b[:]) == 1 }
