package rdma

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"

	"golang.org/x/sys/unix"

	"weft/shuffle/rdma"
	"weft/verbs"
)

// arenaBytes bounds the memory that READs are spread over; with more in flight than fit, several have the same place.
const arenaBytes = 64 << 20

func arenaLen(block, depth int) int { return block * max(1, min(depth, arenaBytes/block)) }

// end is a device in use, at either end.
type end struct {
	devices *verbs.Devices
	ctx     *verbs.Context
	device  *rdma.Device
	addr    netip.Addr
}

// open uses the device of that name; "auto": the first with a usable port.
func open(name string) (*end, error) {
	devices, err := verbs.OpenDevices()
	if err != nil {
		return nil, fmt.Errorf("no RDMA device to measure: %w; `weft doctor` says more, and in the source tree `make bench-rdma` measures soft-RoCE in a guest", err)
	}
	e := &end{devices: devices}
	port, err := rdma.Choice{Device: name}.Choose()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("RDMA device %s: %w", name, err), devices.Close())
	}
	e.addr = port.Addr
	if e.ctx = devices.Device(port.Device); e.ctx == nil {
		return nil, errors.Join(fmt.Errorf("librdmacm does not know %s", port.Device), devices.Close())
	}
	if e.device, err = rdma.NewDevice(e.ctx, rdma.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, errors.Join(err, devices.Close())
	}
	return e, nil
}

func (e *end) close() error { return errors.Join(e.device.Close(), e.devices.Close()) }

// arena is registered memory.
type arena struct {
	mem []byte
	pd  *verbs.PD
	mr  *verbs.MR
}

func (e *end) arena(n int, access verbs.Access) (a *arena, err error) {
	a = &arena{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	if a.mem, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS); err != nil {
		return a, fmt.Errorf("map %d bytes: %w", n, err)
	}
	if a.pd, err = e.ctx.AllocPD(); err != nil {
		return a, err
	}
	a.mr, err = a.pd.RegMR(a.mem, access)
	return a, err
}

func (a *arena) close() error {
	var errs []error
	if a.mr != nil {
		errs = append(errs, a.mr.Close())
	}
	if a.pd != nil {
		errs = append(errs, a.pd.Close())
	}
	if a.mem != nil {
		errs = append(errs, unix.Munmap(a.mem))
	}
	return errors.Join(errs...)
}

// pattern calls use with the bytes that the owner's memory has at each offset, the same at both ends.
func pattern(mem []byte, use func(at []byte, want uint64)) {
	rng := rand.NewPCG(1, uint64(len(mem)))
	for ; len(mem) >= 8; mem = mem[8:] {
		use(mem, rng.Uint64())
	}
}

func fill(mem []byte) { pattern(mem, binary.LittleEndian.PutUint64) }

// check finds the bytes that did not come, or came wrong.
func check(mem []byte) error {
	wrong := 0
	pattern(mem, func(at []byte, want uint64) {
		if binary.LittleEndian.Uint64(at) != want {
			wrong += 8
		}
	})
	if wrong > 0 {
		return fmt.Errorf("%d of %d bytes are not the peer's", wrong, len(mem))
	}
	return nil
}
