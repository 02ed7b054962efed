package verbs

// #include "shim.h"
import "C"

import (
	"fmt"
	"syscall"
)

// PD is a protection domain: memory of one is out of reach for queue pairs of another. ibv_alloc_pd(3).
type PD struct {
	node
	ctx *Context
	c   *C.struct_ibv_pd
}

// AllocPD makes a protection domain.
func (c *Context) AllocPD() (*PD, error) {
	pd := &PD{ctx: c}
	if err := pd.attach("PD", &c.devices.node); err != nil {
		return nil, err
	}
	var err error
	if pd.c, err = C.weft_alloc_pd(c.c); pd.c == nil {
		return nil, pd.undo(failed("ibv_alloc_pd", c.Name(), err))
	}
	return pd, nil
}

// Context is the device that the domain is on.
func (pd *PD) Context() *Context { return pd.ctx }

// Close gives the domain back. ErrInUse while it has memory or queues.
func (pd *PD) Close() error {
	return pd.detach(func() error {
		if rc, err := C.weft_dealloc_pd(pd.c); rc != 0 {
			return failed("ibv_dealloc_pd", pd.ctx.Name(), err)
		}
		return nil
	})
}

// Access is what a device may do with memory: ibv_access_flags. Reading by this side is always allowed.
type Access int

// Rights. REMOTE_WRITE needs LOCAL_WRITE, too.
const (
	LocalWrite  Access = C.IBV_ACCESS_LOCAL_WRITE
	RemoteWrite Access = C.IBV_ACCESS_REMOTE_WRITE
	RemoteRead  Access = C.IBV_ACCESS_REMOTE_READ
)

// MR is a memory region: memory that a device may use by itself. ibv_reg_mr(3).
type MR struct {
	node
	pd         *PD
	c          *C.struct_ibv_mr
	addr       uint64
	lkey, rkey uint32
	len        int
}

// RegMR registers memory, which stays the caller's: any mapping (anonymous, a shared-memory segment, a file), but no memory of Go's
// heap, which Go may free while the device uses it. The memory must stay mapped until Close. It fails with an *Error: ENOMEM where the limit of
// locked memory is too small, EFAULT where the mapping does not allow the access.
func (pd *PD) RegMR(mem []byte, access Access) (*MR, error) {
	mr := &MR{pd: pd, len: len(mem)}
	if len(mem) == 0 {
		return nil, failed("ibv_reg_mr", "0 bytes on "+pd.ctx.Name(), syscall.EINVAL)
	}
	if err := mr.attach("MR", &pd.node); err != nil {
		return nil, err
	}
	var err error
	if mr.c, err = C.weft_reg_mr(pd.c, pointer(mem), C.size_t(len(mem)), C.int(access)); mr.c == nil {
		return nil, mr.undo(failed("ibv_reg_mr", fmt.Sprintf("%d bytes on %s", len(mem), pd.ctx.Name()), err))
	}
	mr.addr, mr.lkey, mr.rkey = uint64(uintptr(mr.c.addr)), uint32(mr.c.lkey), uint32(mr.c.rkey)
	return mr, nil
}

// RKey is what a peer needs to reach the region, beside an address in it.
func (mr *MR) RKey() uint32 { return mr.rkey }

// Addr is the address of the region's first byte, in a peer's work requests.
func (mr *MR) Addr() uint64 { return mr.addr }

// Len is the region's length in bytes.
func (mr *MR) Len() int { return mr.len }

// SGE names bytes [off, off+n) of the region in work requests of this side. It panics where they are not in it.
func (mr *MR) SGE(off, n int) SGE {
	if off < 0 || n < 0 || off > mr.len-n {
		panic(fmt.Sprintf("verbs: [%d, %d) of a memory region of %d bytes", off, off+n, mr.len))
	}
	return SGE{mr.Addr() + uint64(off), uint32(n), mr.lkey}
}

// Remote names a place of this region for a peer's work requests.
func (mr *MR) Remote(off int) Remote { return Remote{mr.Addr() + uint64(off), mr.RKey()} }

// Find is where b begins in the region; false where it does not lie in it.
func (mr *MR) Find(b []byte) (off int, ok bool) {
	from := uint64(uintptr(pointer(b))) - mr.addr // of what lies before the region: more than any length
	return int(from), from <= uint64(mr.len) && len(b) <= mr.len-int(from)
}

// Close ends the device's right to the memory. Work requests that still use it fail.
func (mr *MR) Close() error {
	return mr.detach(func() error {
		if rc, err := C.weft_dereg_mr(mr.c); rc != 0 {
			return failed("ibv_dereg_mr", fmt.Sprintf("%d bytes on %s", mr.len, mr.pd.ctx.Name()), err)
		}
		return nil
	})
}
