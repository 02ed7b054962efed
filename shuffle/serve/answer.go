package serve

import (
	"context"
	"time"

	"weft/shuffle"
	"weft/shuffle/quota"
)

// FindLimit is how long a request may be resolved. No reader waits for so long; an executor that never answers would hold it for ever.
const FindLimit = 5 * time.Minute

// Find asks src, for FindLimit at most, and turns whatever goes wrong with the request into an error of each of its blocks.
func Find(ctx context.Context, src shuffle.Source, req *shuffle.LocateRequest) []shuffle.Found {
	ctx, cancel := context.WithTimeout(ctx, FindLimit)
	defer cancel()
	found, err := src.Locate(ctx, req)
	if err == nil && len(found) == len(req.Blocks) {
		return found
	}
	if err == nil {
		closeAll(found)
		err = shuffle.Errorf(shuffle.ReasonInternal, "%d answers for %d blocks", len(found), len(req.Blocks))
	}
	return Refuse(len(req.Blocks), shuffle.ToBlockError(err))
}

// Ask is Find where no goroutine has to wait (shuffle.Source.Ask). False: nothing was begun.
func Ask(ctx context.Context, src shuffle.Source, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	ctx, cancel := context.WithTimeout(ctx, FindLimit)
	begun := src.Ask(ctx, req, func(found []shuffle.Found) {
		cancel()
		done(found)
	})
	if !begun {
		cancel()
	}
	return begun
}

// Refuse is the same error for each of n blocks.
func Refuse(n int, err *shuffle.BlockError) []shuffle.Found {
	found := make([]shuffle.Found, n)
	for i := range found {
		found[i].Err = err
	}
	return found
}

// EagerBytes is how many of the eager bytes that the reader set aside an answer needs.
func EagerBytes(found []shuffle.Found, eagerBlock, eagerBytes int) int {
	used := 0
	for i := range found {
		if isEager(&found[i], eagerBlock, eagerBytes-used) {
			used += int(found[i].Length)
		}
	}
	return used
}

func isEager(f *shuffle.Found, eagerBlock, room int) bool {
	return f.Err == nil && f.Length <= int64(eagerBlock) && f.Length <= int64(room)
}

// Answer decides how each block travels: it copies the blocks of at most eagerBlock bytes into eager, in order and as many as fit,
// and opens handles for the others, of the share, of each of which hold, unless nil, is told before. It takes ownership of found, appends to
// answer, and returns it with the bytes of eager in use.
func (t *Table) Answer(share quota.Share, found []shuffle.Found, eagerBlock int, eager []byte, answer []shuffle.Located, hold func(i int)) ([]shuffle.Located, int) {
	used, blocks, now := 0, 0, time.Now()
	read, alone := 0, 0 // of the blocks before the one the bytes are in eager; those before the other are read one at a time
	var held []Block    // one allocation for all that are to come
	for i := range found {
		f := &found[i]
		l := shuffle.Located{Length: f.Length, CRC: f.CRC, Checked: f.Checked}
		switch {
		case f.Err != nil:
			l = shuffle.Located{Err: f.Err}
		case isEager(f, eagerBlock, len(eager)-used) || f.Length == 0:
			l.EagerOff = used
			var err error
			if i >= read {
				n, length := 1, int(f.Length)
				if i >= alone {
					n, length = run(found[i:], eagerBlock, len(eager)-used)
				}
				err = readRun(f, eager[used:used+length])
				if err != nil && n > 1 { // each has its own fate
					alone, n = i+n, 1
					err = readRun(f, eager[used:used+int(f.Length)])
				}
				read = i + n
			}
			if err != nil {
				l = shuffle.Located{Err: shuffle.ToBlockError(err)}
			} else {
				used += int(f.Length)
				blocks++
			}
			closeFound(f)
		default:
			if len(held) == 0 {
				held = make([]Block, len(found)-i)
			}
			if hold != nil {
				hold(i)
			}
			handle, err := t.add(&held[0], f, share, now)
			if err != nil {
				l = shuffle.Located{Err: err}
				closeFound(f)
			} else {
				l.Handle, held = handle, held[1:]
			}
		}
		answer = append(answer, l)
	}
	t.count(blocks, int64(used))
	return answer, used
}

// run is how many blocks at the beginning lie one behind the other in the same file and are eager, and their bytes. The first is eager.
func run(found []shuffle.Found, eagerBlock, room int) (n, length int) {
	first := &found[0]
	n, length = 1, int(first.Length)
	for ; n < len(found) && first.File != nil; n++ {
		next := &found[n]
		if !isEager(next, eagerBlock, room-length) || next.Length > 0 && (next.File != first.File || next.Offset != first.Offset+int64(length)) {
			break
		}
		length += int(next.Length)
	}
	return n, length
}

// readRun fills to with the bytes of a run that begins with f.
func readRun(f *shuffle.Found, to []byte) error {
	whole := *f
	whole.Length = int64(len(to))
	return whole.ReadAt(to, 0)
}

func closeAll(found []shuffle.Found) {
	for i := range found {
		if found[i].Err == nil {
			closeFound(&found[i])
		}
	}
}

func closeFound(f *shuffle.Found) {
	if f.Close != nil {
		f.Close()
	}
}
