package shuffle

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Keeping lets map outputs outlive their executors: as long as an application's driver lives, this daemon serves the files of its executors
// that have ended, from hard links of its own. See docs/design/0009-outliving-executors.md.
type Keeping struct {
	// Name is of the directories for the links, each beside a local directory of an executor; no other daemon's may be called that.
	Name string
	// Record keeps what a later daemon needs to serve such links. It is called before their directories are made; an error means that they
	// are not.
	Record func(Left) (Record, error)
	// Watch calls gone once, from a goroutine of its own, when the driver at this address has ended or cannot be reached, unless stop was
	// called before. It returns at once.
	Watch func(driver string, gone func(error)) (stop func())
	// MaxBytes bounds what the data files of executors that have ended hold together, as long as they were when registered; 0: nothing does.
	MaxBytes int64
	// Departed is told how many executors have ended whose map outputs are still served. It must not block.
	Departed func(n int)
}

// Record is where one executor's Left is kept. Its methods are called one at a time.
type Record interface {
	// Update puts left in the place of what was recorded. After an error that is still there.
	Update(left Left) error
	// Forget is called once the links are removed.
	Forget()
}

// Left is what a later daemon has to know of an executor to serve the links to its map outputs, beside the links themselves. Its fields have
// their names in files, too, which a later version reads.
type Left struct {
	App      App
	Executor string
	UID      uint32   // of the executor's processes
	Driver   string   // host:port
	Dirs     []string // absolute paths of the directories for the links, each in one named Keeping.Name
	Since    int64    // when it was recorded, in nanoseconds since 1970
	Ended    int64    // when the executor ended, in the same; 0: it lived, as far as its daemon knew
}

// descriptorsKept is how many a keptDir holds open.
const descriptorsKept = 3

// errShareOfDirectories is why an application's map outputs are not kept.
var errShareOfDirectories = errors.New("the application has as many directories open as its share (weft.app.share) of the open files allows; " +
	"raise the limit of open files (LimitNOFILE)")

// errNotKept is why a daemon without Keeping promises nothing.
var errNotKept = errors.New("this daemon keeps no map outputs of executors that have ended")

// Keep promises that the executor's map outputs are served after its session has ended, as long as its application's driver lives, which
// listens at this address (host:port). It is called before the first is registered. After an error they end with the executor.
func (e *Executor) Keep(driver string) error {
	r := e.registry
	if r.keeper == nil {
		return errNotKept
	}
	if driver == "" {
		return errors.New("it does not say where its driver is; this is a bug of the client")
	}
	more := int64(descriptorsKept * len(e.dirs.dirs))
	if !r.takeDescriptors(e.app, more) {
		return errShareOfDirectories
	}
	k, err := r.keeper.open(e, driver)
	if err != nil {
		r.quotas.Descriptors.Give(e.app, more)
		return err
	}
	e.mu.Lock()
	gone := e.gone
	if !gone {
		e.kept = k
		e.held += more
	}
	e.mu.Unlock()
	if gone {
		k.close()
		r.quotas.Descriptors.Give(e.app, more)
		return ErrGone
	}
	r.watch(e.app, driver)
	return nil
}

// Depart is Leave for an executor that has ended by itself. What was promised to outlive it is served on; release is called once, when
// nothing is any more.
func (e *Executor) Depart(release func()) {
	e.mu.Lock()
	stays := !e.gone && e.hasKept()
	if stays {
		e.release = release
	}
	e.mu.Unlock()
	if stays && e.registry.depart(e) {
		e.dirs.close() // the executor may remove them; the links are elsewhere
		e.registry.ended(e)
		return
	}
	e.Leave()
	if !stays {
		release()
	}
}

// hasKept tells whether some map output of e is to outlive it; mu is held.
func (e *Executor) hasKept() bool {
	for _, outputs := range e.shuffles {
		for _, m := range outputs {
			if m.kept {
				return true
			}
		}
	}
	return false
}

// keeper makes the directories for one registry's links.
type keeper struct {
	opts Keeping

	mu     sync.Mutex // held while directories are made or removed
	last   uint64
	leaves bool // to a later daemon, what is there
}

// open makes a directory beside each local directory of e.
func (r *keeper) open(e *Executor, driver string) (*kept, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	left := Left{
		App: App{ID: e.app, Token: e.token, Encrypted: e.encrypted}, Executor: e.name, UID: e.dirs.uid, Driver: driver, Since: time.Now().UnixNano(),
	}
	for i := range e.dirs.dirs {
		left.Dirs = append(left.Dirs, r.pathBeside(&e.dirs.dirs[i], fmt.Sprintf("%d-%d", r.last, i)))
	}
	record, err := r.opts.Record(left)
	if err != nil {
		return nil, fmt.Errorf("recording the directories for links: %w", err)
	}
	k := &kept{keeper: r, dirs: &localDirs{app: e.app, uid: left.UID}, left: left, record: record}
	for i, path := range left.Dirs {
		d, err := beside(&e.dirs.dirs[i], path, left.UID)
		if err != nil {
			k.closeLocked()
			return nil, fmt.Errorf("a directory for links beside %s: %w", e.dirs.dirs[i].path, err)
		}
		k.add(d)
	}
	return k, nil
}

func (k *kept) add(d *keptDir) {
	k.beside = append(k.beside, d)
	k.dirs.dirs = append(k.dirs.dirs, d.links)
}

// remove is os.Root.RemoveAll of what may be gone: whoever made the application's directories removes them, too, when it ends.
func remove(root *os.Root, name string) error {
	if err := root.RemoveAll(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
