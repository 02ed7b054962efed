//go:build rdma

package verbs_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

func TestDevice(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	names, err := verbs.Sys("").DeviceNames()
	if err != nil || !contains(names, device.Name()) {
		t.Errorf("the kernel knows %v (%v), not %s", names, err, device.Name())
	}
	attr, err := device.Attr()
	if err != nil || attr.MaxQP == 0 || attr.MaxMRSize < 1<<20 || attr.MaxQPRdAtom == 0 || attr.Ports == 0 || device.CompVectors() < 1 {
		t.Errorf("%+v, %v", attr, err)
	}
	port, err := device.Port(1)
	if err != nil || !port.Active || port.State != "ACTIVE" || port.MTU < 256 || port.MTU > port.MaxMTU {
		t.Errorf("%+v, %v", port, err)
	}
	var e *verbs.Error
	if _, err := device.Port(200); !errors.As(err, &e) || e.Op != "ibv_query_port" {
		t.Errorf("a port that is not there: %v", err)
	}
	if _, err := device.NextEvent(time.Now().Add(10 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("waiting for an event that does not come: %v", err)
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// What may be registered how differs between kernels; this is what has to work on all, and what must fail clearly.
func TestRegistration(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	pd, err := device.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, pd)
	const size = 1 << 20
	open := func(name string) *os.File {
		f, err := os.OpenFile(t.TempDir()+"/"+name, os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			err = f.Truncate(size)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { verbstest.Close(t, f) })
		return f
	}
	segment, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	memfd := os.NewFile(uintptr(segment), "memfd")
	defer verbstest.Close(t, memfd)
	if err := memfd.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		fd     *os.File
		flags  int
		prot   int
		access verbs.Access
		want   error
	}{
		{"anonymous", nil, unix.MAP_SHARED | unix.MAP_ANONYMOUS, unix.PROT_READ | unix.PROT_WRITE, verbs.LocalWrite | verbs.RemoteRead, nil},
		{"segment", memfd, unix.MAP_SHARED, unix.PROT_READ | unix.PROT_WRITE, verbs.LocalWrite | verbs.RemoteRead, nil},
		{"file, to be read", open("a"), unix.MAP_SHARED, unix.PROT_READ | unix.PROT_WRITE, verbs.RemoteRead, nil},
		{"read-only, to be written", open("b"), unix.MAP_SHARED, unix.PROT_READ, verbs.LocalWrite, syscall.EFAULT},
		{"writable by the peer alone", nil, unix.MAP_SHARED | unix.MAP_ANONYMOUS, unix.PROT_READ | unix.PROT_WRITE, verbs.RemoteWrite, syscall.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			fd := -1
			if c.fd != nil {
				fd = int(c.fd.Fd())
			}
			mem, err := unix.Mmap(fd, 0, size, c.prot, c.flags)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = unix.Munmap(mem) }()
			mr, err := pd.RegMR(mem, c.access)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if err != nil {
				return
			}
			if mr.Len() != size || mr.RKey() == 0 || mr.SGE(8, 4).Addr != mr.Addr()+8 {
				t.Errorf("%d bytes, rkey %d", mr.Len(), mr.RKey())
			}
			verbstest.Close(t, mr)
		})
	}
	if _, err := pd.RegMR(nil, verbs.RemoteRead); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("no memory: %v", err)
	}
}

func TestHandlesInUseStayOpen(t *testing.T) {
	leakcheck.Check(t)
	client, _ := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{SRQ: true})
	client.Register(t, 4096, verbs.RemoteRead)
	for _, c := range []struct {
		close func() error
		has   string
	}{
		{client.PD.Close, "1 MR, 1 QP, 1 SRQ"},
		{client.CQ.Close, "1 QP"},
		{client.SRQ.Close, "1 QP"},
		{client.Channel.Close, "1 CQ"},
		{client.ID.Close, "1 QP"},
		{client.CM.Close, "1 CMID"},
	} {
		if err := c.close(); !errors.Is(err, verbs.ErrInUse) || !strings.Contains(err.Error(), c.has) {
			t.Errorf("%v, want it to say %q", err, c.has)
		}
	}
}
