package jvmbridge

import (
	"bufio"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
	"weft/internal/sockio"
	"weft/shuffle"
)

const (
	protocolVersion = 1
	outlive         = 1 << 0 // feature: map outputs are kept after the session's end
	encrypt         = 1 << 1 // feature: the application's blocks are encrypted on the network
	readBuffer      = 64 << 10
)

// greet reads the first frame of a connection and runs what it asks for: a session, or the descriptor socket of one.
func (s *Server) greet(conn *net.UnixConn) {
	cred, err := credentials(conn)
	var raw syscall.RawConn
	if err == nil {
		raw, err = conn.SyscallConn()
	}
	if err != nil {
		s.adopt(conn)
		s.log.Error("an executor's credentials can't be told; its connection was closed", "error", err)
		return
	}
	log := s.log.With("uid", cred.Uid, "pid", cred.Pid)
	s.meet(cred.Uid, conn)
	_ = conn.SetReadDeadline(time.Now().Add(s.opts.HandshakeTimeout))
	in := &frameReader{r: bufio.NewReaderSize(sockio.NewReader(raw), readBuffer)}
	var first bridgepb.ToDaemon
	err = in.read(&first)
	_ = conn.SetReadDeadline(time.Time{})
	s.adopt(conn)
	if !s.know(cred.Uid, conn) {
		s.metrics.SessionsRefused.Inc()
		log.Warn("a connection was closed: it has not said what it is, and others of this user want to", "connections", maxGreeting)
		return
	}
	switch kind := first.GetKind().(type) {
	case *bridgepb.ToDaemon_Hello:
		s.hello(conn, in, cred, kind.Hello, log)
	case *bridgepb.ToDaemon_Attach:
		s.attach(conn, cred, kind.Attach, log)
	default:
		if err == nil {
			err = errors.New("a session begins with Hello or Attach")
		}
		if !errors.Is(err, io.EOF) && !s.isClosed() { // EOF: somebody looked whether the daemon is there
			s.metrics.SessionsRefused.Inc()
			log.Warn("a connection of an executor was closed", "error", err)
		}
	}
}

// maxGreeting is how many connections of one user may be silent at a time; for one more the oldest is closed. An executor's say at once what
// they are.
const maxGreeting = 256

// meet notes a connection whose first frame is waited for, until know.
func (s *Server) meet(uid uint32, conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	silent := s.greeting[uid]
	if len(silent) >= maxGreeting {
		_ = silent[0].Close()
		silent = slices.Delete(silent, 0, 1)
	}
	s.greeting[uid] = append(silent, conn)
}

// know ends what meet began; false where the connection had to make way meanwhile.
func (s *Server) know(uid uint32, conn *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.greeting[uid], conn)
	if i < 0 {
		return false
	}
	if s.greeting[uid] = slices.Delete(s.greeting[uid], i, i+1); len(s.greeting[uid]) == 0 {
		delete(s.greeting, uid)
	}
	return true
}

// hello answers Hello, and runs the session to its end if the executor is welcome.
func (s *Server) hello(conn *net.UnixConn, in *frameReader, cred *unix.Ucred, hello *bridgepb.Hello, log *slog.Logger) {
	log = log.With("app", hello.GetAppId(), "executor", hello.GetExecutorId())
	ses, err := s.newSession(conn, cred, hello, log)
	if err != nil {
		s.metrics.SessionsRefused.Inc()
		log.Warn("an executor was refused", "error", err)
		refusal, _ := appendFrame(nil, &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Refused{Refused: &bridgepb.Refused{Detail: err.Error()}}})
		_ = conn.SetWriteDeadline(time.Now().Add(s.opts.HandshakeTimeout))
		_, _ = conn.Write(refusal)
		return
	}
	log.Info("session began", "session", ses.id, "version", hello.GetSoftwareVersion(), "dirs", len(hello.GetLocalDirs()))
	ses.run(in)
	s.remove(ses)
}

// newSession makes a session of an executor that the registry lets in, with the answer sent.
func (s *Server) newSession(conn *net.UnixConn, cred *unix.Ucred, hello *bridgepb.Hello, log *slog.Logger) (*session, error) {
	if err := mayConnect(daemonUID, cred.Uid); err != nil {
		return nil, err
	}
	if hello.GetVersion() != protocolVersion {
		return nil, fmt.Errorf("this daemon speaks version %d of the bridge, the executor version %d: use a jar and a daemon of one release",
			protocolVersion, hello.GetVersion())
	}
	app := shuffle.App{ID: hello.GetAppId(), Encrypted: hello.GetFeatures()&encrypt != 0}
	if copy(app.Token[:], hello.GetAppToken()) != len(app.Token) || len(hello.GetAppToken()) != len(app.Token) {
		return nil, fmt.Errorf("an application's token has %d bytes, not %d; this is a bug of the client", len(app.Token), len(hello.GetAppToken()))
	}
	ses := newSession(s, conn, cred, hello, app, log)
	var err error
	ses.member, err = s.registry.Join(app, hello.GetExecutorId(), cred.Uid, hello.GetLocalDirs(), ses)
	if err != nil {
		_ = ses.closeArenas()
		return nil, err
	}
	if !s.opts.Quotas.Sessions.Take(app.ID, 1) { // not before it has shown that it is of this application
		ses.member.Leave()
		_ = ses.closeArenas()
		return nil, fmt.Errorf("application %s has as many sessions here as its share (weft.app.share) allows", app.ID)
	}
	if app.Encrypted {
		ses.features |= encrypt
	}
	ses.keep(hello)
	if !s.add(ses) {
		s.opts.Quotas.Sessions.Give(app.ID, 1)
		ses.member.Leave()
		_ = ses.closeArenas()
		return nil, errServerClosed
	}
	welcome := &bridgepb.Welcome{
		Version:         protocolVersion,
		Features:        ses.features,
		SessionId:       ses.id,
		AttachToken:     ses.attachToken[:],
		DaemonId:        s.opts.DaemonID[:],
		PeerAddress:     s.opts.PeerAddresses,
		PeerPort:        uint32(s.opts.PeerPort),
		MaxLeaseBytes:   uint64(ses.receive.MaxLease()),
		SoftwareVersion: s.opts.SoftwareVersion,
		TakenOver:       s.registry.TakenOver(app.ID),
	}
	if !app.Encrypted { // which no device does
		welcome.RdmaDevice, welcome.RdmaSoftware = s.opts.RDMADevice, s.opts.RDMASoftware
	}
	ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Welcome{Welcome: welcome}}, true)
	return ses, nil
}

// keep promises that the executor's map outputs outlive it, if it asks for that.
func (ses *session) keep(hello *bridgepb.Hello) {
	if hello.GetFeatures()&outlive == 0 {
		return
	}
	if err := ses.member.Keep(hello.GetDriverAddress()); err != nil {
		ses.log.Warn("map outputs of an executor will end with it", "error", err)
		return
	}
	ses.features |= outlive
}

// attach makes conn the descriptor socket of a session, and ends the session when it closes.
func (s *Server) attach(conn *net.UnixConn, cred *unix.Ucred, attach *bridgepb.Attach, log *slog.Logger) {
	s.mu.Lock()
	ses := s.sessions[attach.GetSessionId()]
	s.mu.Unlock()
	if ses == nil || ses.cred.Uid != cred.Uid || subtle.ConstantTimeCompare(ses.attachToken[:], attach.GetAttachToken()) != 1 {
		s.metrics.SessionsRefused.Inc()
		log.Warn("Attach to a session that is not there, or with a wrong token; the connection was closed", "session", attach.GetSessionId())
		return
	}
	if !ses.attach(conn) {
		log.Warn("Attach to a session that is attached or has ended; the connection was closed", "session", attach.GetSessionId())
		return
	}
	n, err := conn.Read(make([]byte, 1))
	if n > 0 {
		err = violation("data on the descriptor socket")
	}
	ses.end(err)
}

func newToken() (t [16]byte) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}
