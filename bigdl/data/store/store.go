// Package store is where the files of a data set lie: a local folder or one in HDFS, behind one small interface. It knows nothing of
// formats. It never overwrites a file, and a file that was not written to its end is not there.
package store

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Folder is a folder and what lies below it; names are those of io/fs. Its methods may be called by several goroutines.
type Folder interface {
	fs.ReadDirFS
	// Write makes the file name, and the folders above it, out of what content writes. The file appears when content returned no error; where
	// it is there already, the error is fs.ErrExist and content is not called.
	Write(name string, content func(io.Writer) error) error
	// String is the folder's location as the user named it.
	String() string
	Close() error
}

// Open gives the folder at a location: a path, or hdfs://HOST:PORT/PATH. The folder need not be there. When ctx ends, so does what is going
// on in HDFS.
func Open(ctx context.Context, location string) (Folder, error) {
	scheme, rest, found := strings.Cut(location, "://")
	switch {
	case location == "":
		return nil, fmt.Errorf("no folder named: give a path, or hdfs://HOST:PORT/PATH")
	case !found:
		return &local{location}, nil
	case scheme == "file":
		return &local{rest}, nil
	case scheme == "hdfs":
		return openHDFS(ctx, location, rest)
	}
	return nil, fmt.Errorf("%s: no way to read %s:// here: give a local path, or hdfs://HOST:PORT/PATH", location, scheme)
}

// Join is the location of something below another.
func Join(location, name string) string {
	return strings.TrimRight(location, "/") + "/" + name
}

// partial is the name of a file until it is complete: Hadoop takes no file for input that begins like this.
func partial(name string) string {
	return path.Join(path.Dir(name), "_"+path.Base(name)+".partial")
}

func checkName(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}
