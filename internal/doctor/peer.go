package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"weft/internal/options"
	"weft/internal/version"
	"weft/shuffle"
	"weft/shuffle/tcp"
)

// Peer is where the daemon of another host listens.
type Peer struct {
	Host string
	Port uint16
}

// ParsePeer understands HOST and HOST:PORT. Without a port it is the first that a daemon with these options takes.
func ParsePeer(s string, opts options.Options) (Peer, error) {
	host, port, err := net.SplitHostPort(s)
	if _, notIP := netip.ParseAddr(strings.Trim(s, "[]")); err != nil && (notIP == nil || !strings.Contains(s, ":")) {
		host, port, err = strings.Trim(s, "[]"), strconv.Itoa(int(opts.NetPort.Low)), nil
		if opts.NetPort.Low == 0 && host != "" {
			return Peer{}, fmt.Errorf("--peer %s: which port? weft.net.port is 0, so each daemon has another one: `weft status` on %s says which; then --peer %s",
				s, host, net.JoinHostPort(host, "PORT"))
		}
	}
	n, numErr := strconv.ParseUint(port, 10, 16)
	if errors.Is(numErr, strconv.ErrRange) {
		return Peer{}, fmt.Errorf("--peer %s: want HOST or HOST:PORT, with a port of at most 65535", s)
	}
	if err != nil || numErr != nil || host == "" || n == 0 {
		return Peer{}, fmt.Errorf("--peer %s: want HOST or HOST:PORT, an IPv6 address with a port in brackets", s)
	}
	return Peer{host, uint16(n)}, nil
}

func (p Peer) String() string { return net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))) }

// exchange bounds each of the two readings of the probe block, beside connecting: an RDMA device takes seconds to give up.
const exchange = 20 * time.Second

// RunPeer tries the ways to a peer, whose daemon has to run: each by 1 MiB that it has for this. It changes nothing on either side that lasts.
func RunPeer(ctx context.Context, opts options.Options, peer Peer) []Result {
	v := &visit{machine: &machine{opts: opts, rdma: installed}, peer: peer, log: slog.New(slog.DiscardHandler)}
	results := v.results(ctx)
	for i, name := range []string{"peer tcp", "peer features", "peer rdma"} {
		results[i].Check = name
		results[i].Found = clean(results[i].Found)
	}
	return results
}

// clean makes one line, without what a terminal takes for a command: words of the peer are in it.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ReplaceAll(s, "\n", ", "))
}

// visit is one look at a peer.
type visit struct {
	*machine
	peer Peer
	log  *slog.Logger
}

func (v *visit) results(ctx context.Context) []Result {
	hello, overTCP := v.tcp(ctx)
	if overTCP.Outcome == Fail {
		skipped := warn("see peer tcp", "not tried")
		return []Result{overTCP, skipped, skipped}
	}
	d, err := v.open()
	overRDMA := v.rdma(ctx, hello, d, err)
	if err := d.close(); err != nil && overRDMA.Outcome == OK {
		overRDMA = warn("please report this", "%s; but giving the device back: %v", overRDMA.Found, err)
	}
	return []Result{overTCP, features(hello, d != nil), overRDMA}
}

// dial connects to whichever daemon is there.
func (v *visit) dial(ctx context.Context, o tcp.Options) (shuffle.Conn, error) {
	o.PeerTimeout, o.Streams, o.Log = v.opts.PeerTimeout, 1, v.log
	ctx, cancel := context.WithTimeout(ctx, v.opts.PeerConnectTimeout)
	defer cancel()
	return tcp.New(o).Dial(ctx, shuffle.PeerAddr{Hosts: []string{v.peer.Host}, Port: v.peer.Port})
}

// tcp tries the way that everything else needs.
func (v *visit) tcp(ctx context.Context) (hello tcp.Hello, r Result) {
	began := time.Now()
	c, err := v.dial(ctx, tcp.Options{})
	connected := time.Since(began)
	if err != nil {
		return hello, v.unreached(err)
	}
	defer c.Close()
	hello = tcp.HelloOf(c)
	ctx, cancel := context.WithTimeout(ctx, exchange)
	defer cancel()
	f := fetch(ctx, c, make([]byte, shuffle.ProbeLen))
	if f.err != nil {
		return hello, fail("let both hosts have the same version of weft, this is "+version.String()+"; look at that daemon's log",
			"connected to %s, version %s; but 1 MiB of it: %v", hello.Addr, hello.Version, f.err)
	}
	return hello, ok("connected to %s in %s, version %s; 1 MiB in %s", hello.Addr, ms(connected), hello.Version, ms(f.took))
}

// unreached says what a failed connection may come from.
func (v *visit) unreached(err error) Result {
	var dns *net.DNSError
	var refused *shuffle.BlockError
	var op *net.OpError
	const port = "`weft status` on that host tells its port"
	switch {
	case errors.As(err, &dns):
		return fail("correct the name, or give an IP address", "%v", err)
	case errors.As(err, &refused):
		return fail("install the same version of weft on both hosts", "%s: %s", v.peer, refused.Detail)
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return fail("let TCP to this port through firewalls; is it weft's? "+port, "%s does not answer within %v (weft.peer.connect.timeout)", v.peer, v.opts.PeerConnectTimeout)
	case errors.As(err, &op) && op.Op == "dial":
		return fail("start `weft daemon` there, with a weft.net.bind that this host reaches; "+port, "%v", err)
	}
	return fail("is it weft's port? "+port, "%s: no weft daemon answers there: %v", v.peer, err)
}

// features tells what was agreed on.
func features(hello tcp.Hello, here bool) Result {
	active, refused := "none", "none"
	switch {
	case hello.Direct() && here:
		active = "rdma"
	case hello.Direct():
		refused = "rdma, by this host"
	case here:
		refused = "rdma, by the peer"
	default:
		refused = "rdma, by both"
	}
	if n := hello.Unknown(); n != 0 {
		refused = strings.TrimPrefix(fmt.Sprintf("%s, and %#x, unknown to this version", refused, n), "none, and ")
	}
	return ok("active: %s; refused: %s", active, refused)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
