package main

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	o := options{kernel: "/src/build/rig/linux", memory: "2G", mtu: 1500, jobs: []string{"/job"}}
	p := place{dir: "/tmp/guests-1", memory: "/dev/shm", cpu: 3}
	want := "taskset -c 3 /src/build/rig/linux mem=2G umid=1 uml_dir=/tmp/guests-1/ root=/dev/root rootfstype=hostfs rootflags=/ ro " +
		"init=/tmp/guests-1/init con=null con0=fd:0,fd:1 quiet panic=-1 dummy.numdummies=0 " +
		"GUEST_DIR=/tmp/guests-1 GUEST=1 GUESTS=1 GUEST_MTU=1500"
	if got := strings.Join(commandLine(o, 1, p), " "); got != want {
		t.Errorf("one guest:\n%s\nnot\n%s", got, want)
	}

	o.jobs = append(o.jobs, "/job2")
	p.wire = os.Stdin
	words := commandLine(o, 2, p)
	for _, word := range []string{"umid=2", "GUEST=2", "GUESTS=2", "vec0:transport=fd,fd=3,mac=52:54:00:00:00:02,mtu=1500,depth=1024"} {
		if !slices.Contains(words, word) {
			t.Errorf("two guests: %q is not in %q", word, words)
		}
	}
}

// Nothing of the caller stands on the command line, where spaces would need quoting.
func TestSettings(t *testing.T) {
	o := options{
		jobs:   []string{"/src/a b/job", "/tmp/x/job2"},
		env:    list{"A=b c", "Q='\"$"},
		shares: list{"/tmp/x/out", "/src/build", "/tmp/x", "/tmp/x"},
	}
	for _, word := range commandLine(o, 1, place{dir: "/tmp/guests-1"}) {
		if strings.ContainsAny(word, " '\"$") {
			t.Errorf("word %q", word)
		}
	}
	got := settings(o, 2, "TOKEN", "/src")
	want := map[string][]string{
		"job":  {"TOKEN", "/tmp/x/job2", "/src"},
		"env":  {"A=b c", "Q='\"$"},
		"dirs": {"ro:/src", "rw:/src/build", "ro:/tmp/x", "rw:/tmp/x", "rw:/tmp/x/out"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestMemoryDir(t *testing.T) {
	if dir, err := memoryDir(1<<20, "", "/proc", "/dev/shm"); dir != "/dev/shm" || err != nil {
		t.Errorf("%q, %v", dir, err)
	}
	_, err := memoryDir(1<<60, "/dev/shm", "/proc", "/nowhere", "")
	for _, part := range []string{"/dev/shm has only", "/proc is no tmpfs", "/nowhere: no such file", "TMPDIR"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

func TestWire(t *testing.T) {
	ends, err := newWire()
	if err != nil {
		t.Fatal(err)
	}
	defer ends[0].Close()
	defer ends[1].Close()
	frame, buf := make([]byte, 4300), make([]byte, 65536)
	for range 100 { // as many as are under way at once; nobody reads yet
		if _, err := ends[0].Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := ends[1].Read(buf); n != len(frame) || err != nil {
		t.Errorf("a frame of %d bytes, %v", n, err)
	}
}

func TestProcessors(t *testing.T) {
	cpus, err := processors()
	if err != nil || len(cpus) == 0 || !slices.IsSorted(cpus) {
		t.Errorf("%v, %v", cpus, err)
	}
}
