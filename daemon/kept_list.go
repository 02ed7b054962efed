package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// keptFile is the name of the list in the socket directory.
const keptFile = "kept"

// keptName is what a directory for links is called. Nothing else is ever removed.
var keptName = regexp.MustCompile(`^` + keptPrefix + `[0-9a-f]{32}$`)

// keptList is a file with the paths of the directories for links that daemons of this socket directory have made, one a line: a daemon that
// was killed cannot remove its own.
type keptList struct {
	path string
}

func openKeptList(path string) (*keptList, error) {
	l := &keptList{path}
	f, err := l.open()
	if err != nil {
		return nil, fmt.Errorf("list of directories for map outputs: %w", err)
	}
	return l, f.Close()
}

func (l *keptList) open() (*os.File, error) {
	return os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
}

// add writes one path, before the directory is made.
func (l *keptList) add(path string) error {
	if strings.Contains(path, "\n") {
		return fmt.Errorf("a path with a line break: %q", path)
	}
	f, err := l.open()
	if err != nil {
		return err
	}
	_, err = f.WriteString(path + "\n")
	return errors.Join(err, f.Close())
}

// sweep removes every directory in the list, and leaves those in it that could not be removed.
func (l *keptList) sweep() (removed int, failed error) {
	content, err := os.ReadFile(l.path)
	if err != nil {
		return 0, err
	}
	var left []byte
	for path := range strings.Lines(string(content)) {
		path = strings.TrimSuffix(path, "\n")
		there, err := removeKept(path)
		if err != nil {
			failed = errors.Join(failed, err)
			left = fmt.Appendln(left, path)
		} else if there {
			removed++
		}
	}
	return removed, errors.Join(failed, os.WriteFile(l.path, left, 0o600))
}

// removeKept removes a directory for links, which there need not be. It follows no symbolic link from its parent on.
func removeKept(path string) (there bool, err error) {
	if !filepath.IsAbs(path) || !keptName.MatchString(filepath.Base(path)) {
		return false, fmt.Errorf("%q is no directory for map outputs", path)
	}
	parent, err := os.OpenRoot(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer parent.Close()
	if _, err := parent.Lstat(filepath.Base(path)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, parent.RemoveAll(filepath.Base(path))
}
