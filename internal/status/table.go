package status

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Print writes s for a reader. now is the time that the age of the daemon is told by.
func Print(w io.Writer, s *Status, now time.Time) error {
	p := &printer{out: w}
	p.tabs(func(row rower) {
		row("daemon", fmt.Sprintf("version %s, pid %d, up %s", s.Version, s.PID, now.Sub(s.Started).Truncate(time.Second)))
		row("sockets", s.SocketDir)
		row("peers reach it at", fmt.Sprintf("port %d of %s", s.PeerPort, cmp.Or(strings.Join(s.Announced, ", "), "Spark's host name")))
		row("rdma", s.RDMA.String())
		row("cpu time", fmt.Sprintf("%.1f s", s.CPU))
		row("memory", fmt.Sprintf("%s receive + %s upcall of %s", Bytes(s.Memory.ReceiveBytes), Bytes(s.Memory.UpcallBytes), Bytes(s.Memory.MaxBytes)))
		row("map outputs", fmt.Sprintf("%d, %d files open", s.MapOutputs, s.OpenFiles))
	})
	p.section("shares of applications", len(s.Apps), func(row rower) {
		row("application", "uses")
		for _, e := range s.Apps {
			row(e.App, e.uses())
		}
	})
	p.section("sessions", len(s.Sessions), func(row rower) {
		row("id", "application", "executor", "pid", "age", "map outputs", "fetches", "receive leased/allocated", "leases", "upcall leased/allocated")
		for _, e := range s.Sessions {
			row(e.ID, e.App, e.Executor, e.PID, time.Duration(e.AgeSeconds)*time.Second, e.MapOutputs, e.Fetches,
				e.Receive.String(), e.Receive.Leases, e.Upcall.String())
		}
	})
	p.section("executors that have ended", len(s.Departed), func(row rower) {
		row("application", "executor", "map outputs", "bytes")
		for _, e := range s.Departed {
			row(e.App, e.Executor, e.MapOutputs, Bytes(e.MapOutputBytes))
		}
	})
	p.section("peers", len(s.Peers), func(row rower) {
		row("address", "transport", "daemon")
		for _, e := range s.Peers {
			row(e.Address, e.Transport, e.DaemonID)
		}
	})
	p.section("moved", len(s.Transfers), func(row rower) {
		row("transport", "direction", "blocks", "bytes")
		for _, e := range s.Transfers {
			row(e.Transport, e.Direction, e.Blocks, Bytes(e.Bytes))
		}
	})
	p.section("not delivered", len(s.Failed), func(row rower) {
		row("reason", "blocks")
		for _, e := range s.Failed {
			row(e.Reason, e.Blocks)
		}
	})
	p.section("refused, above an application's share", len(s.Refused), func(row rower) {
		row("resource", "times")
		for _, e := range s.Refused {
			row(e.Resource, e.Times)
		}
	})
	p.section("by Spark's own client", len(s.Fallbacks), func(row rower) {
		row("reason", "blocks", "bytes")
		for _, e := range s.Fallbacks {
			row(e.Reason, e.Blocks, Bytes(e.Bytes))
		}
	})
	return p.err
}

// uses lists what the application has, in the order of the words.
func (a App) uses() string {
	var parts []string
	for _, resource := range slices.Sorted(maps.Keys(a.Uses)) {
		amount := strconv.FormatInt(a.Uses[resource], 10)
		switch resource {
		case "memory", "map_outputs", "inline", "locates":
			amount = Bytes(a.Uses[resource])
		}
		parts = append(parts, resource+" "+amount)
	}
	return strings.Join(parts, ", ")
}

func (r *RDMA) String() string {
	if r == nil {
		return "not in use; weft doctor tells why"
	}
	text := fmt.Sprintf("device %s at %s, %s of map outputs registered", r.Device, r.Address, Bytes(r.RegisteredBytes))
	if r.Broken != "" {
		text += "; not used now: " + r.Broken
	}
	return text
}

func (a Arena) String() string { return Bytes(a.LeasedBytes) + "/" + Bytes(a.AllocatedBytes) }

// Bytes writes n with a unit, to one digit behind the point.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

type rower func(cells ...any)

// printer writes tables and keeps the first error.
type printer struct {
	out io.Writer
	err error
}

// section writes a table under a heading; an empty one is left out.
func (p *printer) section(heading string, n int, fill func(rower)) {
	if n == 0 || p.err != nil {
		return
	}
	if _, p.err = fmt.Fprintf(p.out, "\n%s\n", heading); p.err == nil {
		p.tabs(fill)
	}
}

func (p *printer) tabs(fill func(rower)) {
	tw := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fill(func(cells ...any) {
		line := make([]string, len(cells))
		for i, c := range cells {
			line[i] = fmt.Sprint(c)
		}
		if p.err == nil {
			_, p.err = fmt.Fprintln(tw, "  "+strings.Join(line, "\t"))
		}
	})
	if p.err == nil {
		p.err = tw.Flush()
	}
}
