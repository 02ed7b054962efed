package tcp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/internal/version"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/quota"
)

// Name is the transport's name.
const Name = "tcp"

const (
	protocol = 3  // version of proto/peer.proto
	groupLen = 16 // of Hello's group
)

// Options are what both sides of a connection need.
type Options struct {
	DaemonID    [16]byte      // of this daemon
	Former      [][16]byte    // of daemons before it; who looks for one of them has found it
	PeerTimeout time.Duration // a peer that is silent for so long is lost; 0: ten seconds
	Streams     int           // connections for Reads that a dialler opens, beside the one for requests; at least one
	Log         *slog.Logger
	Metrics     *metrics.Set // nil: nobody looks at them
	Quotas      Quotas
	MaxConns    int // that a Server has at a time; 0: 65,536. The oldest over which no application was opened gives way to others

	Direct         shuffle.Direct // how blocks are read without the owner's processor where both sides can; nil: they are not
	ConnectTimeout time.Duration  // for connecting by it; 0: three seconds
	Backoff        time.Duration  // how long it is not tried again after it failed; 0: one minute
}

// Quotas divide what a Server has among applications. A nil pool has no bound.
type Quotas struct {
	Conns   *quota.Pool // connections over which an application was opened
	Locates *quota.Pool // bytes of memory for requests being resolved, about
	Handles *quota.Pool // blocks held open
}

// Transport dials peers. It keeps nothing between calls.
type Transport struct {
	opts Options
}

// New returns the transport for the daemon that opts names.
func New(opts Options) *Transport {
	return &Transport{opts: opts.withDefaults()}
}

func (o Options) withDefaults() Options {
	if o.PeerTimeout <= 0 {
		o.PeerTimeout = 10 * time.Second
	}
	o.Streams = max(o.Streams, 1)
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 3 * time.Second
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = metrics.NewSet()
	}
	return o
}

// Name is "tcp".
func (t *Transport) Name() string { return Name }

// Dial tries the peer's hosts one after the other, until the daemon that is meant answers. Each gets an equal share of the time that is
// left until ctx's deadline.
func (t *Transport) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	if len(peer.Hosts) == 0 {
		return nil, errors.New("the peer announced no address")
	}
	var errs []error
	for i, host := range peer.Hosts {
		c, err := t.dialHost(ctx, host, peer, len(peer.Hosts)-i)
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", host, err))
	}
	return nil, errors.Join(errs...)
}

// dialHost opens a bundle: one connection and, if the right daemon answers, the others.
func (t *Transport) dialHost(ctx context.Context, host string, peer shuffle.PeerAddr, tries int) (*bundle, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(tries))
		defer cancel()
	}
	addr := net.JoinHostPort(host, strconv.Itoa(int(peer.Port)))
	group := make([]byte, groupLen)
	_, _ = rand.Read(group) // never fails
	b := newBundle(1+t.opts.Streams, t.opts.Metrics, t.opts.Log.With("transport", Name, "peer", addr))
	var err error
	if b.conns[0], err = t.dialOne(ctx, addr, peer.DaemonID, group); err != nil {
		return nil, err
	}
	id := b.conns[0].hello.DaemonID             // where any would do, all are to the same
	ctx, cancel := context.WithCancelCause(ctx) // with the first that fails
	defer cancel(nil)
	var others sync.WaitGroup
	for i := 1; i < len(b.conns); i++ {
		others.Go(func() {
			var err error
			if b.conns[i], err = t.dialOne(ctx, addr, id, group); err != nil {
				cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(b.conns), err))
			}
		})
	}
	others.Wait()
	if ctx.Err() != nil {
		for _, c := range b.conns {
			if c != nil {
				_ = c.sock.Close()
			}
		}
		return nil, context.Cause(ctx)
	}
	if t.opts.Direct != nil && b.conns[0].hello.Direct() {
		b.direct = newDirect(b, t.opts)
	}
	b.start(t.opts.PeerTimeout)
	return b, nil
}

// dialOne opens one connection of a bundle.
func (t *Transport) dialOne(ctx context.Context, addr string, want [16]byte, group []byte) (*conn, error) {
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	sock := nc.(*net.TCPConn) //nolint:forcetypeassert // the network is tcp
	stop := context.AfterFunc(ctx, func() { _ = sock.SetDeadline(time.Unix(1, 0)) })
	c, err := t.greet(sock, want, group)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = sock.Close()
		return nil, err
	}
	return c, nil
}

// greet exchanges Hello.
func (t *Transport) greet(sock *net.TCPConn, want [16]byte, group []byte) (*conn, error) {
	if err := tune(sock, t.opts.PeerTimeout); err != nil {
		return nil, err
	}
	hello := t.opts.hello()
	hello.Group = group
	sent, err := writeMessage(sock, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: hello}})
	if err != nil {
		return nil, fmt.Errorf("send hello: %w", err)
	}
	c, err := newConn(sock)
	if err != nil {
		return nil, err
	}
	msg, payload, err := c.in.next()
	if err != nil {
		return nil, fmt.Errorf("read hello: %w", err)
	}
	var resp peerpb.Response
	if err := proto.Unmarshal(msg, &resp); err != nil {
		return nil, fmt.Errorf("no weft daemon answers there: not a hello: %w", err)
	}
	switch h := resp.GetHello(); {
	case resp.GetRefused() != nil:
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "refused: %s", resp.GetRefused().GetDetail())
	case h == nil || payload != 0:
		return nil, errors.New("no weft daemon answers there: not a hello")
	case h.GetVersion() != protocol:
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "the peer speaks version %d of the protocol, this daemon %d", h.GetVersion(), protocol)
	case len(h.GetDaemonId()) != len(want), want != [16]byte{} && !isOf(h, want):
		return nil, fmt.Errorf("another daemon answers there, %x; it was started anew, or the address is not only the peer's", h.GetDaemonId())
	case len(h.GetNonce()) != auth.NonceLen:
		return nil, fmt.Errorf("no weft daemon answers there: a hello with a nonce of %d bytes", len(h.GetNonce()))
	}
	c.binding = auth.Bind(sent, msg)
	c.hello = helloOf(resp.GetHello(), sock)
	return c, nil
}

// isOf tells whether h is that of the daemon with this id, or of one that has taken over from it.
func isOf(h *peerpb.Hello, id [16]byte) bool {
	is := func(other []byte) bool { return bytes.Equal(other, id[:]) }
	return is(h.GetDaemonId()) || slices.ContainsFunc(h.GetFormerDaemonId(), is)
}

// hello is for one connection.
func (o Options) hello() *peerpb.Hello {
	h := &peerpb.Hello{Version: protocol, DaemonId: o.DaemonID[:], SoftwareVersion: version.String(), Nonce: make([]byte, auth.NonceLen)}
	_, _ = rand.Read(h.GetNonce()) // never fails
	for _, id := range o.Former {
		h.FormerDaemonId = append(h.FormerDaemonId, id[:])
	}
	if o.Direct != nil {
		h.Features |= featureDirect
	}
	return h
}

// writeMessage writes one frame without a payload; for the beginning of a connection, when nobody else writes. It returns the message as it was sent.
func writeMessage(sock *net.TCPConn, m proto.Message) ([]byte, error) {
	b, err := marshal(newFrame(nil), m)
	if err != nil {
		return nil, err
	}
	_, err = sock.Write(b)
	return b[headerLen:], err
}

// marshal appends m to a new frame and seals it.
func marshal(frame []byte, m proto.Message) ([]byte, error) {
	frame, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(frame, m)
	if err != nil {
		return nil, err
	}
	return frame, seal(frame, 0)
}
