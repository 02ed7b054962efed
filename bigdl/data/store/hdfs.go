package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"
	"github.com/colinmarc/hdfs/v2/hadoopconf"
)

const (
	connectTimeout = 15 * time.Second
	silence        = time.Minute // of a NameNode or DataNode, before it counts as dead
)

// remote is a folder in HDFS. The client is safe for several goroutines.
type remote struct {
	location string
	dir      string
	client   *hdfs.Client
}

// openHDFS connects to the NameNode of rest, HOST:PORT/PATH; without HOST:PORT that of the Hadoop configuration of this machine.
func openHDFS(ctx context.Context, location, rest string) (Folder, error) {
	address, dir, _ := strings.Cut(rest, "/")
	conf, err := hadoopconf.LoadFromEnvironment()
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read the Hadoop configuration of HADOOP_CONF_DIR or HADOOP_HOME: %w", location, err)
	}
	options := hdfs.ClientOptionsFromConf(conf)
	if options.KerberosClient != nil {
		return nil, fmt.Errorf("%s: the Hadoop configuration asks for Kerberos, which is not supported here: copy the files to a local folder (hdfs dfs -get)", location)
	}
	if address != "" {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("%s: the NameNode's address needs its port, as in hdfs://%s:8020/: %w", location, address, err)
		}
		options.Addresses = []string{address}
	}
	if len(options.Addresses) == 0 {
		return nil, fmt.Errorf("%s: names no NameNode, and neither does a Hadoop configuration (HADOOP_CONF_DIR): write hdfs://HOST:PORT/PATH", location)
	}
	if options.User = os.Getenv("HADOOP_USER_NAME"); options.User == "" {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("%s: which user am I for HDFS? set HADOOP_USER_NAME: %w", location, err)
		}
		options.User = u.Username
	}
	options.NamenodeDialFunc, options.DatanodeDialFunc = dialUntil(ctx), dialUntil(ctx)
	client, err := hdfs.NewClient(options)
	if err != nil {
		return nil, fmt.Errorf("%s: no answer from the NameNode %s: is it running, and is that its RPC port? %w", location, strings.Join(options.Addresses, ","), err)
	}
	return &remote{location, "/" + dir, client}, nil
}

// dialUntil connects as usual; when ctx ends, its connections do.
func dialUntil(ctx context.Context) func(context.Context, string, string) (net.Conn, error) {
	return func(dialCtx context.Context, network, address string) (net.Conn, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundConn{c, context.AfterFunc(ctx, func() { _ = c.Close() })}, nil
	}
}

type boundConn struct {
	net.Conn
	unbind func() bool
}

func (c *boundConn) Close() error {
	c.unbind()
	return c.Conn.Close()
}

func (r *remote) String() string { return r.location }
func (r *remote) Close() error   { return r.client.Close() }

func (r *remote) path(name string) string { return path.Join(r.dir, name) }

func (r *remote) Open(name string) (fs.File, error) {
	if err := checkName("open", name); err != nil {
		return nil, err
	}
	f, err := r.client.Open(r.path(name))
	if err != nil {
		return nil, err
	}
	return reading{f}, nil
}

func (r *remote) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := checkName("readdir", name); err != nil {
		return nil, err
	}
	infos, err := r.client.ReadDir(r.path(name)) // sorted by name
	entries := make([]fs.DirEntry, len(infos))
	for i, info := range infos {
		entries[i] = fs.FileInfoToDirEntry(info)
	}
	return entries, err
}

func (r *remote) Write(name string, content func(io.Writer) error) (err error) {
	if err := checkName("write", name); err != nil {
		return err
	}
	if _, err := r.client.Stat(r.path(name)); err == nil {
		return &fs.PathError{Op: "write", Path: r.path(name), Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := r.path(partial(name))
	if err := r.client.MkdirAll(path.Dir(part), 0o777); err != nil {
		return err
	}
	if err := r.client.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := r.client.Create(part)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = r.client.Remove(part)
		}
	}()
	if err := errors.Join(content(writing{f}), closeReplicated(f)); err != nil {
		return err
	}
	return r.client.Rename(part, r.path(name))
}

// closeReplicated closes a file; the NameNode says "not yet" until a DataNode has reported the last block.
func closeReplicated(f *hdfs.FileWriter) error {
	until := time.Now().Add(silence)
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		_ = f.SetDeadline(until)
		err := f.Close()
		if !hdfs.IsErrReplicating(err) || time.Now().After(until) {
			return err
		}
		time.Sleep(wait)
	}
}

// reading is a file of HDFS as an fs.File; it gives up on a DataNode that falls silent.
type reading struct{ f *hdfs.FileReader }

func (r reading) Stat() (fs.FileInfo, error) { return r.f.Stat(), nil }
func (r reading) Close() error               { return r.f.Close() }

func (r reading) Read(b []byte) (int, error) {
	if err := r.f.SetDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return r.f.Read(b)
}

type writing struct{ f *hdfs.FileWriter }

func (w writing) Write(b []byte) (int, error) {
	if err := w.f.SetDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return w.f.Write(b)
}
