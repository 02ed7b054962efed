package doctor

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"weft/daemon"
	"weft/internal/options"
	"weft/internal/status"
	"weft/internal/version"
)

func (m *machine) daemon(ctx context.Context) Result {
	s, err := status.Get(ctx, m.opts.SocketDir)
	switch {
	case errors.Is(err, status.ErrNotRunning):
		return warn("start `weft daemon`, or leave it to the first executor (spark.weft.daemon.mode=auto)", "none is running in %s", m.opts.SocketDir)
	case errors.Is(err, fs.ErrPermission):
		return warn("ask as the daemon's user, or as root", "%s is not accessible to this user", m.opts.SocketDir)
	case err != nil:
		return fail("end that daemon and start it again", "%v", err)
	case s.Version != version.String():
		return warn("start the daemon again with this binary", "version %s is running (pid %d), this is %s", s.Version, s.PID, version.String())
	}
	return ok("version %s, pid %d, %d sessions", s.Version, s.PID, len(s.Sessions))
}

func (m *machine) socketDir(context.Context) Result {
	dir := m.opts.SocketDir
	err := daemon.CheckSocketDir(dir)
	switch {
	case err == nil:
		return ok("%s", dir)
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(dir)
		if err := unix.Access(parent, unix.W_OK|unix.X_OK); err != nil {
			return fail("make it with mode 0700, or set weft.socket.dir", "%s is absent and %s: %v", dir, parent, err)
		}
		return ok("%s will be made", dir)
	}
	found, todo, _ := strings.Cut(err.Error(), ": ")
	return fail(todo, "%s", found)
}

func (m *machine) peerPort(ctx context.Context) Result {
	l, err := daemon.ListenPeers(ctx, m.opts.NetBind, m.opts.NetPort)
	if err == nil {
		defer l.Close()
		if m.opts.NetPort == (options.PortRange{}) {
			return ok("chosen by the kernel; set weft.net.port where a firewall wants to know it")
		}
		return ok("%s is free", l.Addr())
	}
	if s, statusErr := status.Get(ctx, m.opts.SocketDir); statusErr == nil && s.PeerPort >= m.opts.NetPort.Low && s.PeerPort <= m.opts.NetPort.High {
		return ok("%d, held by the running daemon", s.PeerPort)
	}
	return fail("correct weft.net.bind or widen weft.net.port", "%v", err)
}

func (m *machine) announced(context.Context) Result {
	addrs, err := daemon.Announced(m.opts.NetBind, m.opts.NetCIDR)
	switch {
	case err != nil:
		return fail("correct weft.net.cidr, or leave it empty", "%v", err)
	case len(addrs) == 0:
		return ok("none: readers use Spark's host name; set weft.net.cidr where that is the slow network")
	}
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return ok("%s", strings.Join(words, ", "))
}
