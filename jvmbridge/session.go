package jvmbridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
	"weft/shuffle"
	"weft/shuffle/mempool"
)

var errServerClosed = errors.New("the daemon is closing")

// violation is an error that the client is to blame for.
type violation string

func (v violation) Error() string { return string(v) }

func violationf(format string, args ...any) error { return violation(fmt.Sprintf(format, args...)) }

// session is one executor. One goroutine reads its frames, and answers peers for the blocks in them; one writes what its senders could not at once (outbox), and one waits for the end of
// the descriptor socket. What the Fetcher and the peers do comes on goroutines of theirs.
type session struct {
	server      *Server
	id          uint64
	app         shuffle.App
	executor    string
	version     string
	cred        *unix.Ucred
	attachToken [16]byte
	features    uint64 // in force
	began       time.Time
	log         *slog.Logger

	out    *outbox
	device Membership
	// What needs the device: the arenas, and what outlives the executor.
	deviceUsers atomic.Int32
	receive     *mempool.Arena
	files       files // of upcall's segments
	upcall      *mempool.Arena
	member      *shuffle.Executor
	ctx         context.Context // ends with the session
	cancel      context.CancelCauseFunc
	attached    chan struct{} // closed by attach
	endOnce     sync.Once

	fetches fetches
	leases  leases
	upcalls upcalls
}

func newSession(s *Server, conn *net.UnixConn, cred *unix.Ucred, hello *bridgepb.Hello, app shuffle.App, log *slog.Logger) *session {
	ses := &session{
		server: s, app: app, executor: hello.GetExecutorId(), version: hello.GetSoftwareVersion(),
		cred: cred, attachToken: newToken(), began: time.Now(), log: log,
		out: newOutbox(conn), attached: make(chan struct{}),
	}
	ses.ctx, ses.cancel = context.WithCancelCause(context.Background())
	ses.join()
	ses.receive = ses.newArena(bridgepb.SegmentKind_SEGMENT_RECEIVE, s.opts.SessionBytes, ses.device.Receive)
	ses.upcall = ses.newArena(bridgepb.SegmentKind_SEGMENT_UPCALL, s.opts.UpcallBytes, ses.device.Upcall)
	ses.fetches.init(ses)
	ses.leases.init()
	ses.upcalls.init(ses)
	return ses
}

// run reads frames until the session ends, and returns when nothing of it runs any more.
func (ses *session) run(in *frameReader) {
	var writer sync.WaitGroup
	writer.Go(func() { ses.end(ses.out.run()) })
	patience := time.AfterFunc(ses.server.opts.HandshakeTimeout, func() {
		select {
		case <-ses.attached:
		default:
			ses.end(violation("no Attach came"))
		}
	})
	ses.end(ses.readAll(in))
	patience.Stop()
	writer.Wait()
	ses.fetches.wait()
	ses.upcalls.wait()
}

func (ses *session) readAll(in *frameReader) error {
	for {
		var m bridgepb.ToDaemon
		if err := in.read(&m); err != nil {
			return err
		}
		if err := ses.handle(&m); err != nil {
			return err
		}
		ses.out.waitForRoom()
	}
}

func (ses *session) handle(m *bridgepb.ToDaemon) error {
	switch kind := m.GetKind().(type) {
	case *bridgepb.ToDaemon_Fetch:
		return ses.fetches.begin(kind.Fetch)
	case *bridgepb.ToDaemon_Cancel:
		ses.fetches.cancel(kind.Cancel.GetRequestId())
		return nil
	case *bridgepb.ToDaemon_Release:
		return ses.leases.release(kind.Release)
	case *bridgepb.ToDaemon_RegisterMapOutput:
		return ses.register(kind.RegisterMapOutput)
	case *bridgepb.ToDaemon_UnregisterShuffle:
		ses.member.UnregisterShuffle(kind.UnregisterShuffle.GetShuffleId())
		return nil
	case *bridgepb.ToDaemon_BlockOpened:
		return ses.upcalls.opened(kind.BlockOpened)
	case *bridgepb.ToDaemon_BlockCopied:
		return ses.upcalls.copied(kind.BlockCopied)
	case *bridgepb.ToDaemon_FallbackReport:
		ses.count(kind.FallbackReport)
		return nil
	default:
		return violationf("a frame that does not belong here (%T)", kind)
	}
}

func (ses *session) register(m *bridgepb.RegisterMapOutput) error {
	err := ses.member.RegisterMapOutput(shuffle.MapOutput{
		Shuffle: m.GetShuffleId(), Map: m.GetMapId(), Data: m.GetDataPath(), Index: m.GetIndexPath(), Partitions: m.GetNumPartitions(),
	})
	if errors.Is(err, shuffle.ErrOutside) {
		return violation(err.Error())
	}
	if err != nil {
		ses.server.metrics.RejectedMapOutputs.Inc()
		ses.log.Warn("a map output was not registered; its blocks are asked of the executor", "error", err)
	}
	return nil
}

func (ses *session) count(m *bridgepb.FallbackReport) {
	reason := shuffle.Reason(m.GetReason()).String()
	ses.server.metrics.FallbackBlocks(reason).Add(float64(m.GetBlocks()))
	ses.server.metrics.FallbackBytes(reason).Add(float64(m.GetBytes()))
}

// attach gives the session its descriptor socket; false when it has one or has ended.
func (ses *session) attach(conn *net.UnixConn) bool {
	if !ses.out.attach(conn) {
		return false
	}
	close(ses.attached)
	return true
}

// end ends the session, once: fetches are cancelled, upcalls fail, the executor leaves the registry, and the memory goes when the
// transports are done with it. The executor keeps what it was given: its own mappings outlive the daemon's.
func (ses *session) end(cause error) {
	ses.endOnce.Do(func() {
		ses.say(cause)
		ses.cancel(shuffle.ErrCancelled)
		ses.out.close()
		ses.leave(cause)
		if err := ses.closeArenas(); err != nil { // before the leases: what they name is not used again
			ses.log.Error("memory of a session was not given back; restart the daemon if this repeats", "session", ses.id, "error", err)
		}
		ses.fetches.cancelAll()
		ses.leases.releaseAll()
		ses.upcalls.failAll() // which answers peers
	})
}

// leave ends the executor's membership, or leaves what outlives the executor where it ended by itself, and the daemon where that ends. The use of the device goes with the
// membership: peers read by it what was left.
func (ses *session) leave(cause error) {
	if isEnd(cause) || errors.Is(cause, errServerClosed) {
		ses.deviceUsers.Add(1)
		ses.member.Depart(ses.unuseDevice)
		return
	}
	ses.member.Leave()
}

// isEnd tells whether cause is that the executor closed the session, or its process ended.
func isEnd(cause error) bool {
	return errors.Is(cause, io.EOF) || errors.Is(cause, io.ErrUnexpectedEOF) || errors.Is(cause, unix.ECONNRESET) || errors.Is(cause, unix.EPIPE)
}

// say logs the end in one line.
func (ses *session) say(cause error) {
	log := ses.log.With("session", ses.id)
	switch {
	case isEnd(cause):
		log.Info("session ended", "why", "the executor closed it")
	case errors.Is(cause, errServerClosed):
		log.Info("session ended", "why", cause)
	default:
		ses.server.metrics.SessionsRefused.Inc()
		log.Warn("session ended because of what the executor sent; it goes on without weft, or with a new session", "error", cause)
	}
}

func (ses *session) status() SessionStatus {
	arena := func(a *mempool.Arena) ArenaStatus { return ArenaStatus{Max: a.Max(), Usage: a.Usage()} }
	return SessionStatus{
		ID: ses.id, App: ses.app.ID, Executor: ses.executor, UID: ses.cred.Uid, PID: ses.cred.Pid, Version: ses.version,
		Began: ses.began, Fetches: ses.fetches.count(), Receive: arena(ses.receive), Upcall: arena(ses.upcall),
	}
}
