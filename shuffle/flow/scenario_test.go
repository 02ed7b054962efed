package flow

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// scenario is a flow under a text: lines "command -> what comes of it", from # on comments. Pieces are called by their stream and a number, a#1; several in a row
// are written a#1..3. The commands:
//
//	flow CREDITS WINDOW QUANTUM   a new flow
//	add STREAM SIZE [COUNT]       add pieces
//	singles NAME SIZE COUNT       add pieces that are in streams of their own
//	next [COUNT]                  begin what may, or at most so many -> pieces
//	end PIECES                    they end
//	due                           -> true, false
//	cancel STREAM                 -> pieces given back
//	drain
//	lose CAUSE                    -> pieces given back
//	state                         -> pieces in flight, pieces that wait, and whether all is over and why
type scenario struct {
	f       *Flow[string]
	streams map[string]uint64
	added   map[string]int
	slots   map[string]int // of pieces in flight
}

func TestScenarios(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	if len(files) == 0 {
		t.Fatal("no scenarios")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			in, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = in.Close() }()
			s := &scenario{}
			lines := bufio.NewScanner(in)
			for n := 1; lines.Scan(); n++ {
				line, _, _ := strings.Cut(lines.Text(), "# ")
				command, want, _ := strings.Cut(line, "->")
				if words := strings.Fields(command); len(words) > 0 {
					if got := s.run(words[0], words[1:]); got != strings.TrimSpace(want) {
						t.Errorf("%s:%d: %s -> %s", file, n, strings.Join(words, " "), got)
					}
				}
			}
		})
	}
}

func (s *scenario) run(command string, args []string) string {
	arg := func(i, otherwise int) int {
		if i >= len(args) {
			return otherwise
		}
		return size(args[i])
	}
	switch command {
	case "flow":
		s.f = New[string](Limits{arg(0, 0), int64(arg(1, 0)), int64(arg(2, 0))})
		s.streams, s.added, s.slots = map[string]uint64{}, map[string]int{}, map[string]int{}
	case "add", "singles":
		name := args[0]
		var stream uint64
		if command == "add" {
			if s.streams[name] == 0 {
				s.streams[name] = uint64(len(s.streams) + 1)
			}
			stream = s.streams[name]
		}
		for range arg(2, 1) {
			if !s.f.Add(stream, int64(arg(1, 0)), fmt.Sprintf("%s#%d", name, s.added[name]+1)) {
				return "refused"
			}
			s.added[name]++
		}
	case "next":
		var begun []string
		for range arg(0, 1<<30) {
			slot, item, ok := s.f.Next()
			if !ok {
				break
			}
			s.slots[item] = slot
			begun = append(begun, item)
		}
		return short(begun)
	case "end":
		for _, item := range long(args) {
			slot, ok := s.slots[item]
			if got, busy := s.f.End(slot); !ok || !busy || got != item {
				return item + " is not in flight"
			}
			delete(s.slots, item)
		}
	case "due":
		return fmt.Sprint(s.f.Due())
	case "cancel":
		return short(s.f.Cancel(s.streams[args[0]], nil))
	case "drain":
		s.f.Drain()
	case "lose":
		return short(s.f.Lose(errors.New(strings.Join(args, " ")), nil))
	case "state":
		text := fmt.Sprintf("flying %s, waiting %d", short(slices.Sorted(maps.Keys(s.slots))), s.f.waiting)
		if s.f.Drained() {
			text += ", drained"
		}
		if s.f.Cause() != nil {
			text += ", " + s.f.Cause().Error()
		}
		return text
	default:
		return "unknown command"
	}
	return ""
}

// size reads 4, 4k, 4m and 4g.
func size(word string) int {
	unit := map[byte]int{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[word[len(word)-1]]
	if unit == 0 {
		unit = 1
	} else {
		word = word[:len(word)-1]
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		panic(err)
	}
	return n * unit
}

// short writes pieces with runs as one.
func short(items []string) string {
	var out []string
	for i := 0; i < len(items); {
		name, number, _ := strings.Cut(items[i], "#")
		first, _ := strconv.Atoi(number)
		n := 1
		for i+n < len(items) && items[i+n] == fmt.Sprintf("%s#%d", name, first+n) {
			n++
		}
		word := items[i]
		if n > 1 {
			word += fmt.Sprintf("..%d", first+n-1)
		}
		out = append(out, word)
		i += n
	}
	return "[" + strings.Join(out, " ") + "]"
}

// long is the reverse of short.
func long(words []string) (items []string) {
	for _, word := range words {
		name, numbers, _ := strings.Cut(word, "#")
		first, last, many := strings.Cut(numbers, "..")
		if !many {
			last = first
		}
		for i := size(first); i <= size(last); i++ {
			items = append(items, fmt.Sprintf("%s#%d", name, i))
		}
	}
	return items
}
