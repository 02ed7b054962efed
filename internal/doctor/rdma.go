package doctor

import (
	"context"
	"errors"
	"slices"
	"strings"

	"weft/shuffle/rdma"
	"weft/verbs"
)

// wants tells whether blocks may go by RDMA at all.
func (m *machine) wants() bool { return m.opts.NoRDMA() == "" }

func (m *machine) notWanted() Result { return ok("not wanted: %s", m.opts.NoRDMA()) }

// without is a warning where TCP is good enough, and a failure where a device is named.
func (m *machine) without(todo, format string, args ...any) Result {
	if m.opts.RDMADevice == "auto" {
		r := warn(todo, format, args...)
		r.Found += "; TCP is used"
		return r
	}
	return fail(todo, format, args...)
}

// libraries and devices are as the daemon finds them; tests put others in their place.
type libraries struct {
	load    func() error
	devices func() ([]string, error)
}

var installed = libraries{load: verbs.Load, devices: openDevices}

func openDevices() ([]string, error) {
	devices, err := verbs.OpenDevices()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range devices.All() {
		names = append(names, c.Name())
	}
	return names, devices.Close()
}

func (m *machine) rdmaLibraries(context.Context) Result {
	if !m.wants() {
		return m.notWanted()
	}
	if err := m.rdma.load(); err != nil {
		found := err.Error()
		if missing := (*verbs.LibraryError)(nil); errors.As(err, &missing) {
			found = missing.Detail
		}
		return m.without(verbs.InstallLibraries, "%s", found)
	}
	return ok("libibverbs and librdmacm are there")
}

// rdmaDevices compares what the kernel has with what the libraries can open.
func (m *machine) rdmaDevices(context.Context) Result {
	if !m.wants() {
		return m.notWanted()
	}
	names, err := m.sys().DeviceNames()
	if err != nil {
		return m.without("let the daemon read /sys", "%v", err)
	}
	if len(names) == 0 {
		return m.without("if this node has such a device, load its driver; else set weft.rdma.device=none, and this line goes", "the kernel has none")
	}
	list := strings.Join(names, ", ")
	if m.rdma.load() != nil {
		return ok("%s", list)
	}
	opened, err := m.rdma.devices()
	if err != nil {
		return m.without("see RDMA nodes; and "+verbs.InstallLibraries, "the kernel has %s, but opening them: %v", list, err)
	}
	for _, name := range names {
		if !slices.Contains(opened, name) {
			return m.without("see RDMA nodes; and "+verbs.InstallLibraries, "the libraries cannot open %s", name)
		}
	}
	return ok("%s", list)
}

func (m *machine) rdmaFeatures(context.Context) Result {
	if !m.wants() {
		return m.notWanted()
	}
	return ok("used: READ over RC, shared mappings of files and memory; not used: on-demand paging, memory windows, XRC, UD, atomics")
}

func (m *machine) sys() verbs.Sys { return verbs.Sys(m.root) }

// port is the port that the daemon would take.
func (m *machine) port() (rdma.Port, error) {
	return rdma.Choice{Sys: m.sys(), Device: m.opts.RDMADevice, Networks: m.opts.NetCIDR}.Choose()
}
