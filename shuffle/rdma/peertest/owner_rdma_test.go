//go:build rdma

package peertest

import (
	"encoding/gob"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/shuffle/rdma"
	"weft/verbs"
	"weft/verbs/verbstest"
)

// The owner of these tests runs on another host: this test binary with ownerVariable set to the address to be at. The reader, in the tests, asks it
// by a TCP connection, an order at a time; what an order makes ends with the connection.

const (
	ownerVariable = "WEFT_TEST_OWNER"
	ownerPort     = 7471
	ownerBytes    = 4 << 20
)

// order is what the reader asks for, answer what it gets.
type order struct {
	Do string   // "offer", "revoke", "expel", "readers", "tc", "trace", "traced", "die", "vanish"
	TC []string // arguments of tc
}

type answer struct {
	Listener netip.AddrPort
	Token    rdma.Token
	Source   verbs.Remote
	Number   int
	Text     string
	Err      string
}

// sourceBytes are the bytes that every owner has.
func sourceBytes() []byte {
	b := make([]byte, ownerBytes)
	rng := rand.NewPCG(3, 4)
	for i := range b {
		b[i] = byte(rng.Uint64())
	}
	return b
}

func TestMain(m *testing.M) {
	if host := os.Getenv(ownerVariable); host != "" {
		fmt.Fprintln(os.Stderr, "owner:", own(netip.MustParseAddr(host)))
		os.Exit(1)
	}
	verbstest.Main(m)
}

func own(host netip.Addr) error {
	devices, err := verbs.OpenDevices()
	if err != nil {
		return err
	}
	device, err := rdma.NewDevice(devices.All()[0], rdma.Options{Log: slog.Default()})
	if err != nil {
		return err
	}
	listener, err := device.Listen(netip.AddrPortFrom(host, 0))
	if err != nil {
		return err
	}
	mem, err := unix.Mmap(-1, 0, ownerBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	copy(mem, sourceBytes())
	if err := serveBlocks(host); err != nil {
		return err
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(host, ownerPort).String())
	if err != nil {
		return err
	}
	fmt.Println("owner: ready")
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go serveOrders(conn, devices.All()[0], listener, mem)
	}
}

func serveOrders(conn net.Conn, ctx *verbs.Context, listener *rdma.Listener, mem []byte) {
	defer conn.Close()
	pd, err := ctx.AllocPD()
	if err != nil {
		fmt.Println("owner:", err)
		return
	}
	mr, err := pd.RegMR(mem, verbs.RemoteRead)
	if err != nil {
		fmt.Println("owner:", err)
		return
	}
	defer func() {
		listener.Expel(pd)
		if err := mr.Close(); err != nil {
			fmt.Println("owner:", err)
		}
		if err := pd.Close(); err != nil {
			fmt.Println("owner:", err)
		}
	}()
	in, out := gob.NewDecoder(conn), gob.NewEncoder(conn)
	var tracer trace
	defer func() { _, _, _ = tracer.end() }()
	for {
		var o order
		if in.Decode(&o) != nil {
			return
		}
		a := answer{Listener: listener.Addr(), Source: mr.Remote(0)}
		switch o.Do {
		case "offer":
			var err error
			if a.Token, err = listener.Offer(pd); err != nil {
				a.Err = err.Error()
			}
		case "revoke":
			if err := mr.Close(); err != nil {
				a.Err = err.Error()
			}
		case "expel":
			listener.Expel(pd)
		case "readers":
			a.Number = listener.Readers()
		case "tc":
			out, err := exec.Command("tc", o.TC...).CombinedOutput()
			if a.Text = string(out); err != nil {
				a.Err = err.Error() + ": " + a.Text
			}
		case "trace":
			if err := tracer.begin(); err != nil {
				a.Err = err.Error()
			}
		case "traced":
			var err error
			if a.Number, a.Text, err = tracer.end(); err != nil {
				a.Err = err.Error()
			}
		case "vanish": // as a host whose power fails: not a word to anybody
			if os.Getenv("GUEST") == "" {
				a.Err = "this is no guest: it is not turned off"
				break
			}
			_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
		case "die":
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			time.Sleep(time.Minute)
		default:
			a.Err = "unknown order " + o.Do
		}
		if out.Encode(a) != nil {
			return
		}
	}
}
