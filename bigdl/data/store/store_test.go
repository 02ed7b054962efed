package store_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/bigdl/data/store"
)

func open(t *testing.T, location string) store.Folder {
	t.Helper()
	f, err := store.Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func hello(w io.Writer) error {
	_, err := io.WriteString(w, "hello")
	return err
}

func TestLocal(t *testing.T) {
	dir := t.TempDir()
	for _, location := range []string{dir + "/a", "file://" + dir + "/b"} {
		f := open(t, location)
		if err := f.Write("x/y/z", hello); err != nil {
			t.Fatal(err)
		}
		if b, err := fs.ReadFile(f, "x/y/z"); string(b) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", location, b, err)
		}
		entries, err := f.ReadDir("x")
		if err != nil || len(entries) != 1 || entries[0].Name() != "y" || !entries[0].IsDir() {
			t.Errorf("%s: %v, %v", location, entries, err)
		}
		if _, err := f.Open("nothing"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: what is not there gives %v", location, err)
		}
		for _, name := range []string{"../x", "/etc/passwd", "x//y"} {
			_, err1 := f.Open(name)
			_, err2 := f.ReadDir(name)
			err3 := f.Write(name, hello)
			if !errors.Is(err1, fs.ErrInvalid) || !errors.Is(err2, fs.ErrInvalid) || !errors.Is(err3, fs.ErrInvalid) {
				t.Errorf("%s: %s gives %v, %v, %v", location, name, err1, err2, err3)
			}
		}
	}
}

func TestAFileIsThereInFullOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	broken := errors.New("broken")
	err := f.Write("a", func(w io.Writer) error { return errors.Join(hello(w), broken) })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
	// What a killed process left is no hindrance.
	if err := os.WriteFile(filepath.Join(dir, "_a.partial"), []byte("a long beginning"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := f.Write("a", hello); err != nil {
		t.Fatal(err)
	}
	if err := f.Write("a", func(io.Writer) error { t.Error("called"); return nil }); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second time: %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a")); string(b) != "hello" {
		t.Errorf("has %q", b)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("there: %v", entries)
	}
}

func TestLocationsThatAreNone(t *testing.T) {
	t.Setenv("HADOOP_CONF_DIR", "")
	t.Setenv("HADOOP_HOME", "")
	for location, want := range map[string]string{
		"":                       "no folder named: give a path, or hdfs://HOST:PORT/PATH",
		"s3a://bucket/x":         "s3a://bucket/x: no way to read s3a:// here",
		"hdfs:///x":              "hdfs:///x: names no NameNode, and neither does a Hadoop configuration",
		"hdfs://namenode/x":      "hdfs://namenode/x: the NameNode's address needs its port, as in hdfs://namenode:8020/",
		"hdfs://127.0.0.1:1/a/b": "hdfs://127.0.0.1:1/a/b: no answer from the NameNode 127.0.0.1:1: is it running",
	} {
		if _, err := store.Open(t.Context(), location); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %s", location, err, want)
		}
	}
}

func TestKerberosIsRefused(t *testing.T) {
	conf := t.TempDir()
	site := "<configuration><property><name>hadoop.security.authentication</name><value>kerberos</value></property></configuration>"
	if err := os.WriteFile(filepath.Join(conf, "core-site.xml"), []byte(site), 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HADOOP_CONF_DIR", conf)
	if _, err := store.Open(t.Context(), "hdfs://namenode:8020/x"); err == nil || !strings.Contains(err.Error(), "Kerberos, which is not supported here") {
		t.Errorf("gives %v", err)
	}
}

func TestJoin(t *testing.T) {
	for _, location := range []string{"hdfs://h:1/a", "hdfs://h:1/a/"} {
		if got := store.Join(location, "b/c"); got != "hdfs://h:1/a/b/c" {
			t.Errorf("%s: %s", location, got)
		}
	}
}
