package daemon

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"weft/internal/chaos"
	"weft/internal/pb/blockpb"
)

// kind is a kind of fault. do breaks something, returns when it was shown to have happened, and has made whole again by then what does not
// heal by itself.
type kind struct {
	chaos.Kind
	do func(w *way, arg string) error
}

func number(below int) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return strconv.Itoa(r.IntN(below)) }
}

// while is a time that a fault lasts.
func while(r *rand.Rand) string { return (time.Duration(1+r.IntN(60)) * time.Millisecond).String() }

func oneOf(words ...string) func(*rand.Rand) string {
	return func(r *rand.Rand) string { return words[r.IntN(len(words))] }
}

// kinds are all that there are. Rarer than others are those that end by a time-out alone, or after which a peer is not dialled for a second.
func kinds() []kind {
	all := []kind{
		op("dial", "fail", 1, oneOf("lost", "peer_refused")),
		op("dial", "delay", 2, while),
		op("locate", "fail", 4, oneOf("lost", "no_space", "not_found", "owner_gone")),
		op("locate", "delay", 4, while),
		op("locate", "drop", 1, nil),
		op("locate", "kill", 4, nil),
		op("read", "fail", 4, oneOf("lost", "no_space", "bad_map_output")),
		op("read", "delay", 4, while),
		op("read", "corrupt", 4, number(1<<20)),
		op("read", "drop", 1, nil),
		op("read", "kill", 4, nil),
		op("serve", "fail", 4, oneOf("no_space", "owner_gone", "not_found")),
		op("serve", "delay", 4, while),

		of("link", "cut", 4, nil, func(w *way, _ string) error { return w.cut(w.link.cut) }),
		of("link", "hangup", 4, nil, func(w *way, _ string) error { return w.cut(w.link.hangUp) }),
		of("link", "torn", 4, number(2<<20), (*way).tear),
		of("link", "stall", 4, while, (*way).stall),
		of("link", "slow", 2, while, (*way).slow),
		of("link", "hole", 1, nil, (*way).swallow),
		of("link", "refuse", 1, nil, (*way).refuse),

		of("file", "replace", 3, nil, (*way).replaceFiles),
		of("file", "grow", 3, number(100_000), (*way).growFiles),
	}
	for _, action := range []string{
		"truncate", "remove", "rot", "index", "shortindex", "noindex", "directory", "symlink", "fifo", "forbid",
	} {
		all = append(all, of("file", action, 3, number(1<<30), func(w *way, arg string) error { return w.breakFile(action, arg) }))
	}
	return append(all, sessionKinds()...)
}

func of(target, action string, weight int, arg func(*rand.Rand) string, do func(*way, string) error) kind {
	return kind{chaos.Kind{Target: target, Action: action, Weight: weight, Arg: arg}, do}
}

// op is a rule of transporttest's scripts for the way's next operation of a kind.
func op(name, action string, weight int, arg func(*rand.Rand) string) kind {
	return of(name, action, weight, arg, func(w *way, arg string) error {
		before := w.script.Met()
		if err := w.script.Add(fmt.Sprintf("%s 1 %s %s", name, action, arg)); err != nil {
			return err
		}
		if name == "dial" {
			w.link.cut()
		}
		err := w.until("an operation meets the rule", func() bool { return w.script.Met() > before }, w.strike)
		if action == "drop" {
			w.link.cut() // it ends only so
		}
		return err
	})
}

// cut ends the connections, of which there is one at least.
func (w *way) cut(end func() int) error {
	return w.until("there is a connection to cut", func() bool { return end() > 0 }, w.strike)
}

func (w *way) tear(arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	before := w.link.counted().torn
	w.link.set(func() { w.link.torn = n })
	return w.until("the connections are torn", func() bool { return w.link.counted().torn > before }, w.strike)
}

// stall holds up all that is sent, for some time.
func (w *way) stall(arg string) error {
	lasts, err := time.ParseDuration(arg)
	if err != nil {
		return err
	}
	before := w.link.counted().held
	w.link.set(func() { w.link.stalled = true })
	defer w.link.set(func() { w.link.stalled = false })
	w.meanwhile(func() { err = w.until("bytes are held up", func() bool { return w.link.counted().held > before }, nil) })
	time.Sleep(lasts) // it is nothing but time
	return err
}

func (w *way) slow(arg string) error {
	lasts, err := time.ParseDuration(arg)
	if err != nil {
		return err
	}
	before := w.link.counted().slowed
	w.link.set(func() { w.link.slow = true })
	defer w.link.set(func() { w.link.slow = false })
	w.meanwhile(func() {
		err = w.until("bytes are slowed", func() bool { return w.link.counted().slowed > before }, nil)
	})
	time.Sleep(lasts) // it is nothing but time
	return err
}

// swallow loses all that is sent over the connections there are, until the daemons give them up.
func (w *way) swallow(string) error {
	var left func() bool
	err := w.cut(func() int {
		left = w.link.swallow()
		if !left() {
			return 0
		}
		return 1
	})
	if err != nil {
		return err
	}
	before := w.link.counted().lost
	err = w.until("bytes are lost", func() bool { return w.link.counted().lost > before }, w.strike)
	return errors.Join(err, w.until("the daemons give up the silent connections", func() bool { return !left() }, w.strike))
}

// refuse resets the next connection as soon as it comes.
func (w *way) refuse(string) error {
	before := w.link.counted().refused
	w.link.set(func() { w.link.refuse = 1 })
	w.link.cut()
	return w.until("a connection is refused", func() bool { return w.link.counted().refused > before }, w.strike)
}

// meanwhile strikes while do runs. What it fetches ends later.
func (w *way) meanwhile(do func()) {
	w.late.Go(w.strike)
	do()
}

// breakFile breaks the files of a map output, has a fetch meet that, and makes the files whole again.
func (w *way) breakFile(action, arg string) error {
	n, err := strconv.Atoi(arg)
	if err != nil {
		return err
	}
	o := w.outputs[n%len(w.outputs)]
	if err := breakages[action](o, n); err != nil {
		return errors.Join(err, o.restore())
	}
	want := []blockpb.Reason{blockpb.Reason_REASON_BAD_MAP_OUTPUT, blockpb.Reason_REASON_PEER_LOST, blockpb.Reason_REASON_CHECKSUM}
	if action == "rot" {
		want = want[2:]
	}
	met := false
	err = w.until("a fetch meets the broken file", func() bool { return met }, func() {
		for at, reason := range w.fetch(w.all(func(b content) bool { return b.output == o }), nil).reasons {
			met = met || w.blocks[at].output == o && slices.Contains(want, reason)
		}
	})
	return errors.Join(err, o.restore())
}

// replaceFiles puts other files with the same content in the place of those that are read.
func (w *way) replaceFiles(string) error {
	for _, o := range w.outputs {
		before := inode(o.dataAt)
		if err := o.restore(); err != nil {
			return err
		}
		if inode(o.dataAt) == before {
			return fmt.Errorf("%s is the file that it was", o.dataAt)
		}
	}
	return nil
}

// growFiles appends to files what belongs to no block, which harms nobody.
func (w *way) growFiles(arg string) error {
	n, err := strconv.Atoi(arg)
	for _, o := range w.outputs {
		if err == nil {
			err = appendTo(o.dataAt, make([]byte, n+1))
		}
	}
	return err
}
