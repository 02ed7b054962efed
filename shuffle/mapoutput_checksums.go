package shuffle

import (
	"context"
	"fmt"
	"sync"
)

// partitionSums are the checksums of a map output's partitions. Each is computed when it is first asked for, once, however many ask
// at the same time, and kept. 4 bytes and two bits a partition, the bytes in pages that are made when they are needed.
type partitionSums struct {
	n uint32 // partitions

	mu    sync.Mutex
	pages [][]uint32 // made under mu; written while busy, read once known
	known bitmap
	busy  bitmap
	ended chan struct{} // closed when a computation ends; nil while nobody waits
}

const sumPage = 128 // partitions

// bitmap is a set of small numbers.
type bitmap []uint64

func (b bitmap) has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitmap) set(i uint32, to bool) {
	if to {
		b[i/64] |= 1 << (i % 64)
	} else {
		b[i/64] &^= 1 << (i % 64)
	}
}

// partitions is a range of partitions; the end is exclusive.
type partitions struct{ start, end uint32 }

func newPartitionSums(n uint32) *partitionSums {
	words := (n + 63) / 64
	bits := make(bitmap, 2*words)
	return &partitionSums{n: n, pages: make([][]uint32, (n+sumPage-1)/sumPage), known: bits[:words:words], busy: bits[words:]}
}

// bytes is the memory that s holds at most.
func (s *partitionSums) bytes() int64 {
	return 4*int64(s.n) + 24*int64(cap(s.pages)) + 16*int64(cap(s.known))
}

// sum is where the sum of a partition is, of which there is a page.
func (s *partitionSums) sum(p uint32) *uint32 { return &s.pages[p/sumPage][p%sumPage] }

// grow makes the page of a partition, unless there is one. mu is held.
func (s *partitionSums) grow(p uint32) {
	if page := &s.pages[p/sumPage]; *page == nil {
		*page = make([]uint32, min(sumPage, s.n-p/sumPage*sumPage))
	}
}

// ensure returns when the partitions of all wanted ranges are known. What nobody else is computing it computes itself: neighbours with
// one sequential read. The lock is not held meanwhile.
func (s *partitionSums) ensure(ctx context.Context, x *index, file *dataFile, wanted []BlockID) error {
	for {
		mine, others := s.claim(wanted)
		if len(mine) == 0 && others == nil {
			return nil
		}
		for i, run := range mine {
			err := s.compute(ctx, x, file, run)
			s.end(mine[i:i+1], err == nil)
			if err != nil {
				s.end(mine[i+1:], false)
				return err
			}
		}
		if others == nil {
			return nil
		}
		select {
		case <-others:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// claim marks what is neither known nor busy as busy. If others are computing some of the rest, it gives the channel that tells of an end.
func (s *partitionSums) claim(wanted []BlockID) (mine []partitions, others <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, block := range wanted {
		if block.ReduceEnd > s.n {
			continue // there is no such block
		}
		for p := block.ReduceStart; p < block.ReduceEnd; p++ {
			switch {
			case s.known.has(p):
			case s.busy.has(p):
				// Perhaps busy for an earlier block of this request. Then its end closes the channel, too.
				if s.ended == nil {
					s.ended = make(chan struct{})
				}
				others = s.ended
			default:
				s.grow(p)
				s.busy.set(p, true)
				if n := len(mine); n > 0 && mine[n-1].end == p {
					mine[n-1].end++
				} else {
					mine = append(mine, partitions{p, p + 1})
				}
			}
		}
	}
	return mine, others
}

// end gives runs back that were claimed, and wakes those who wait for them.
func (s *partitionSums) end(runs []partitions, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range runs {
		for p := run.start; p < run.end; p++ {
			s.busy.set(p, false)
			s.known.set(p, known)
		}
	}
	if s.ended != nil {
		close(s.ended)
		s.ended = nil
	}
}

// learn is the checksum of a block, the bytes of which were read: the one that is known, or theirs, which is known from then on.
func (s *partitionSums) learn(x *index, block BlockID, bytes []byte) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := true
	for p := block.ReduceStart; p < block.ReduceEnd && known; p++ {
		known = s.known.has(p)
	}
	if known {
		return s.of(x, block.ReduceStart, block.ReduceEnd)
	}
	rest := bytes
	for p := block.ReduceStart; p < block.ReduceEnd; p++ {
		length := x.offset(p+1) - x.offset(p)
		if !s.known.has(p) && !s.busy.has(p) {
			s.grow(p)
			*s.sum(p) = Checksum(rest[:length])
			s.known.set(p, true)
		}
		rest = rest[length:]
	}
	if block.ReduceEnd-block.ReduceStart == 1 && s.known.has(block.ReduceStart) {
		return *s.sum(block.ReduceStart)
	}
	return Checksum(bytes)
}

// compute reads the partitions of run, one behind the other, and writes their sums.
func (s *partitionSums) compute(ctx context.Context, x *index, file *dataFile, run partitions) error {
	p, sum := run.start, uint32(0)
	ended := func(at int64) { // stores the sums of the partitions that end at this offset
		for ; p < run.end && x.offset(p+1) == at; p++ {
			*s.sum(p) = sum
			sum = 0
		}
	}
	start := x.offset(run.start)
	ended(start)
	return readRange(ctx, file, start, x.offset(run.end)-start, func(at int64, part []byte) {
		for len(part) > 0 {
			n := min(int64(len(part)), x.offset(p+1)-at)
			sum = UpdateChecksum(sum, part[:n])
			at += n
			part = part[n:]
			ended(at)
		}
	})
}

// of is the checksum of a range of partitions, all of them known.
func (s *partitionSums) of(x *index, start, end uint32) uint32 {
	sum := *s.sum(start)
	for p := start + 1; p < end; p++ {
		if length := x.offset(p+1) - x.offset(p); length > 0 {
			sum = CombineChecksums(sum, *s.sum(p), length)
		}
	}
	return sum
}

// readRange hands the bytes [offset, offset+length) of file to each in parts, in their order. It reads by pread alone: a file that
// became shorter is an error here, where a load from a mapping of it would be a SIGBUS.
func readRange(ctx context.Context, file *dataFile, offset, length int64, each func(at int64, part []byte)) error {
	if length == 0 {
		return nil
	}
	buffer := getBuffer()
	defer putBuffer(buffer)
	for at, end := offset, offset+length; at < end; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		part := buffer[:min(end-at, int64(len(buffer)))]
		if n, err := file.fd.ReadAt(part, at); n < len(part) {
			return fmt.Errorf("%s ends at byte %d, a block needs %d: %w", file.name, at+int64(n), end, noEOF(err))
		}
		each(at, part)
		at += int64(len(part))
	}
	return nil
}
