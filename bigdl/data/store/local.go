package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

type local struct{ dir string }

func (l *local) String() string { return l.dir }
func (l *local) Close() error   { return nil }

func (l *local) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

func (l *local) Open(name string) (fs.File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	return os.Open(l.path(name))
}

func (l *local) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	return os.ReadDir(l.path(name))
}

func (l *local) Write(name string, content func(io.Writer) error) (err error) {
	if err := checkName("write", name); err != nil {
		return err
	}
	if _, err := os.Lstat(l.path(name)); err == nil {
		return &fs.PathError{Op: "write", Path: l.path(name), Err: fs.ErrExist}
	}
	part := l.path(partial(name))
	if err := os.MkdirAll(filepath.Dir(part), 0o777); err != nil {
		return err
	}
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	if err := errors.Join(content(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(part, l.path(name))
}
