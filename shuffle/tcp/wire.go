package tcp

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
	"weft/shuffle/auth"
)

// wire is a connection between daemons: plain, or under TLS from its first byte on.
type wire struct {
	sock *net.TCPConn
	rc   syscall.RawConn // of sock; set by tune
	in   *sockio.Reader  // of rc
	tls  *tls.Conn       // nil: plain
	cork *cork           // beneath tls
}

// name is the word for it in logs and metrics.
func (w *wire) name() string {
	if w.tls != nil {
		return NameTLS
	}
	return Name
}

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if w.tls != nil {
		return w.tls.Read(p)
	}
	n, err := w.in.Read(p)
	if failed := (*os.SyscallError)(nil); errors.As(err, &failed) {
		err = &net.OpError{Op: failed.Syscall, Net: "tcp", Source: w.sock.LocalAddr(), Addr: w.sock.RemoteAddr(), Err: failed.Err}
	}
	return n, err
}

// Write implements io.Writer, for greetings.
func (w *wire) Write(p []byte) (int, error) {
	if w.tls != nil {
		return w.tls.Write(p)
	}
	return w.sock.Write(p)
}

// bind is the connection's binding, when the two sides have said these hellos.
func (w *wire) bind(dialler, listener []byte) (auth.Binding, error) {
	if w.tls == nil {
		return auth.Bind(dialler, listener), nil
	}
	state := w.tls.ConnectionState()
	exported, err := state.ExportKeyingMaterial(auth.ExporterLabel, nil, auth.ExportedLen)
	if err != nil {
		return auth.Binding{}, err
	}
	return auth.BindTLS(exported, dialler, listener), nil
}

// greeted ends the greeting: what TLS writes from now on is collected until the outbox flushes it.
func (w *wire) greeted() {
	if w.cork != nil {
		w.cork.begin()
	}
}

// handshake is the type of the record that a TLS connection begins with. A frame begins with a zero, as no message of a stranger is so long.
const handshake = 0x16

// beginsTLS waits for the first byte, which stays where it is, and tells what it is the beginning of.
func (w *wire) beginsTLS() (bool, error) {
	var first [1]byte
	var n int
	var err error
	waited := w.rc.Read(func(fd uintptr) bool {
		for {
			if n, _, err = unix.Recvfrom(int(fd), first[:], unix.MSG_PEEK); !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	switch {
	case waited != nil:
		return false, waited
	case err != nil:
		return false, err
	case n == 0:
		return false, io.EOF
	}
	return first[0] == handshake, nil
}
