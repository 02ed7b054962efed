package daemon

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"weft/shuffle"
)

const (
	keptStore = "keeping" // the store's name in the socket directory
	record    = ".json"   // what its files end with
	unwritten = ".new"    // what those end with that are being written

	maxRecord = 1 << 20 // bytes
)

// keptPath is what the path of a directory for links ends with. Nothing else is ever opened or removed.
var keptPath = regexp.MustCompile(`/` + keptPrefix + `[0-9a-f]{32}/[0-9]+-[0-9]+$`)

// store is a directory with a file for each executor whose map outputs are linked: what the next daemon of the socket directory has to know to
// serve them. Applications' tokens are among it, so nobody but the daemon's user can read it.
//
// What a record names is data that nobody has made sure is on the disk, so records are of one boot of the host.
type store struct {
	path string
	boot string // the host's; "": the kernel does not say, and no record counts later
}

// bootID is where the kernel says which boot this is.
const bootID = "/proc/sys/kernel/random/boot_id"

// stored is what a record holds.
type stored struct {
	shuffle.Left
	Boot string
}

func openStore(path string) (*store, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is not a directory of user %d alone: remove it", path, os.Geteuid())
	}
	boot, err := os.ReadFile(bootID)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return &store{path, strings.TrimSpace(string(boot))}, nil
}

// add writes a new record.
func (s *store) add(left shuffle.Left) (shuffle.Record, error) {
	r := &recordFile{filepath.Join(s.path, rand.Text()+record), s.boot}
	if err := r.Update(left); err != nil {
		return nil, err
	}
	return r, nil
}

// recordFile is a record, there or not.
type recordFile struct{ path, boot string }

// Update writes the record, whole or not at all.
func (r *recordFile) Update(left shuffle.Left) error {
	content, err := json.Marshal(stored{left, r.boot})
	if err != nil {
		return err
	}
	if len(content) > maxRecord {
		return fmt.Errorf("a record of %d bytes; at most %d are supported", len(content), maxRecord)
	}
	next := r.path + unwritten
	if err := write(next, content); err != nil {
		return errors.Join(err, removeFile(next))
	}
	if err := os.Rename(next, r.path); err != nil {
		return errors.Join(err, removeFile(next))
	}
	return nil
}

// Forget removes the record.
func (r *recordFile) Forget() { _ = removeFile(r.path) }

func write(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close()) // nobody reads it after the host went down
}

// removeFile removes a file that need not be there.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// each gives every record to take, which may remove it; old tells that it is of another boot. What is no record stays, and is in the error.
func (s *store) each(take func(left shuffle.Left, record shuffle.Record, old bool)) error {
	entries, err := os.ReadDir(s.path)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		path := filepath.Join(s.path, entry.Name())
		if strings.HasSuffix(path, unwritten) {
			errs = append(errs, removeFile(path)) // what it was to replace, if anything, is there
			continue
		}
		there, err := read(path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		take(there.Left, &recordFile{path, s.boot}, there.Boot == "" || there.Boot != s.boot)
	}
	return errors.Join(errs...)
}

func read(path string) (there stored, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return there, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return there, err
	}
	return parse(content)
}

// parse reads a record. It names directories for links alone, and says whether the application's blocks have to be encrypted: what does not is no
// record, lest they go in clear.
func parse(content []byte) (there stored, err error) {
	var said struct{ App struct{ Encrypted *bool } }
	if err := errors.Join(json.Unmarshal(content, &there), json.Unmarshal(content, &said)); err != nil {
		return there, err
	}
	if said.App.Encrypted == nil {
		return there, errors.New("it does not say whether the application's blocks have to be encrypted")
	}
	if there.App.ID == "" || there.App.Token == [32]byte{} || there.Executor == "" || there.Driver == "" || len(there.Dirs) == 0 {
		return there, errors.New("something is missing in it")
	}
	for _, dir := range there.Dirs {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || !keptPath.MatchString(dir) {
			return there, fmt.Errorf("%q is no directory for links to map outputs", dir)
		}
	}
	return there, nil
}
