package rdma

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"weft/verbs"
)

// Mapping is how files are mapped for the device.
type Mapping string

// Mappings. Kernels of the 6.1 line and older register no shared mapping that is for reading alone; a writable one they make dirty, so that its file is
// written to the disk once more.
const (
	MapAuto Mapping = "auto" // for reading where the kernel registers that, else writable
	MapRead Mapping = "read" // for reading, or not at all
	MapNone Mapping = "none" // not at all
)

// ErrNoMapping says that files are not to be mapped.
var ErrNoMapping = errors.New("rdma: files are not registered (weft.rdma.map)")

// register maps the piece and registers the mapping.
func (f *Files) register(p *piece, file *os.File, length int64) error {
	if f.access == MapNone {
		return ErrNoMapping
	}
	if !f.writable.Load() {
		err := p.register(file, f.piece, length, unix.O_RDONLY, unix.PROT_READ)
		if !errors.Is(err, unix.EFAULT) || f.access == MapRead {
			return err
		}
	}
	err := p.register(file, f.piece, length, unix.O_RDWR, unix.PROT_READ|unix.PROT_WRITE)
	if err == nil {
		f.writable.Store(true) // it is the kernel, and so for every file
	}
	return err
}

func (p *piece) register(file *os.File, size, length int64, how, prot int) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	closed := raw.Control(func(fd uintptr) {
		// Another open file, since the caller's may be for reading alone.
		var own int
		if own, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), how|unix.O_CLOEXEC, 0); err == nil {
			p.mem, err = unix.Mmap(own, p.key.number*size, int(length), prot, unix.MAP_SHARED)
			_ = unix.Close(own)
		}
	})
	if err = errors.Join(closed, err); err != nil && how == unix.O_RDWR {
		return fmt.Errorf("%s: mapping it for writing, as this kernel wants it for registering: %w", file.Name(), err)
	} else if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	if p.mr, err = p.key.pd.RegMR(p.mem, verbs.RemoteRead); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", file.Name(), err), unix.Munmap(p.mem))
	}
	return nil
}

// closeAll ends registrations, then mappings; a mapping that the device has still stays.
func closeAll(pieces []*piece) error {
	var errs []error
	for _, p := range pieces {
		err := p.mr.Close()
		if err == nil {
			err = unix.Munmap(p.mem)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
