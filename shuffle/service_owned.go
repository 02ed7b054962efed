package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
)

// upcallsPerRequest is how many blocks of one request an executor is asked for at the same time.
const upcallsPerRequest = 16

// askOwner answers the blocks at these indexes by asking the executor for them, as they are now.
func (s *Service) askOwner(ctx context.Context, e *Executor, blocks []BlockID, indexes []int, found []Found) {
	var next atomic.Int64
	work := func() {
		for {
			n := int(next.Add(1)) - 1
			if n >= len(indexes) {
				return
			}
			i := indexes[n]
			found[i] = s.open(ctx, e, blocks[i])
		}
	}
	var workers sync.WaitGroup
	for range min(len(indexes), upcallsPerRequest) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
}

func (s *Service) open(ctx context.Context, e *Executor, id BlockID) Found {
	if err := context.Cause(ctx); err != nil {
		return Found{Err: ToBlockError(err)}
	}
	if e.departed.Load() {
		return Found{Err: Errorf(ReasonNotFound, "executor %s has ended, and %s is none of the map outputs that it left", e.name, id)}
	}
	block, err := e.owner.OpenBlock(ctx, id)
	return s.found(ctx, e, id, block, err)
}

// Ask implements Source: for blocks of one map output that can be read at once, and for one that only the executor has.
func (s *Service) Ask(ctx context.Context, req *LocateRequest, done func([]Found)) bool {
	if len(req.Blocks) == 0 {
		return false
	}
	e, refused := s.registry.find(req.App, req.Executor)
	if refused != nil || e.departed.Load() {
		return false // Locate says why
	}
	if sameMapOutput(req.Blocks) < len(req.Blocks) {
		return false
	}
	id := req.Blocks[0]
	if id.IsShuffle() {
		return s.readNow(e, req, done)
	}
	return e.owner.AskBlock(ctx, id, func(block OwnedBlock, err error) {
		answer := func() { done([]Found{s.found(ctx, e, id, block, err)}) }
		if summed := !s.registry.outputs.checksums || block.CRC != nil; block.Path == "" && (summed || len(block.Mem) <= quick) {
			answer()
		} else {
			go answer()
		}
	})
}

// readNow answers a request for blocks of one map output if it can be answered at once.
func (s *Service) readNow(e *Executor, req *LocateRequest, done func([]Found)) bool {
	m := e.mapOutput(req.Blocks[0].Shuffle, req.Blocks[0].Map)
	if m == nil {
		return false
	}
	found := s.registry.outputs.now(m, req)
	if found == nil {
		return false
	}
	done(found)
	return true
}

// found is what is served of a block that its executor gave, or did not give.
func (s *Service) found(ctx context.Context, e *Executor, id BlockID, block OwnedBlock, err error) Found {
	if err != nil {
		return Found{Err: ToBlockError(err)}
	}
	giveBack := block.Close
	if giveBack == nil {
		giveBack = func() {}
	}
	f := Found{
		Length: int64(len(block.Mem)), Mem: block.Mem, MemFile: block.MemFile, MemOffset: block.MemOffset,
		Close: giveBack, Checked: s.registry.outputs.checksums,
	}
	switch {
	case block.Path != "":
		f, err = s.openPath(ctx, e, block)
		giveBack() // the descriptor is ours
	case f.Checked && block.CRC != nil:
		f.CRC = *block.CRC
	case f.Checked:
		f.CRC = Checksum(block.Mem)
	}
	if err != nil {
		return Found{Err: fileError(err, otherwise(id, err))}
	}
	if f.Length == 0 && f.Close != nil {
		f.Close()
		f.Mem, f.Close = nil, nil
	}
	return f
}

// openPath serves a range of a file that the executor named. Nothing about it is kept: the name may mean another block next time.
func (s *Service) openPath(ctx context.Context, e *Executor, block OwnedBlock) (Found, error) {
	if block.Offset < 0 || block.Length < 0 || block.Offset+block.Length < 0 {
		return Found{}, fmt.Errorf("a range of %d bytes at %d of a file", block.Length, block.Offset)
	}
	where, err := e.dirs.find(block.Path)
	if err != nil {
		return Found{}, err
	}
	outputs := s.registry.outputs
	if err := outputs.files.reserve(e.app); err != nil {
		return Found{}, err
	}
	fd, stat, err := e.dirs.openFD(where)
	if err != nil {
		outputs.files.unreserve(e.app)
		return Found{}, err
	}
	file := outputs.files.add(e.app, nil, fd, e.dirs.name(where))
	f := Found{File: file.osFile(), Offset: block.Offset, Length: block.Length, Close: file.unref, Checked: outputs.checksums}
	if stat.Size < block.Offset+block.Length {
		err = fmt.Errorf("%s has %d bytes, the block needs %d", block.Path, stat.Size, block.Offset+block.Length)
	}
	if err == nil && f.Checked {
		err = readRange(ctx, file, f.Offset, f.Length, func(_ int64, part []byte) { f.CRC = UpdateChecksum(f.CRC, part) })
	}
	if err != nil {
		file.unref()
		return Found{}, err
	}
	if f.Length == 0 {
		f.File = nil
	}
	return f, nil
}

// otherwise is the reason for a file error that has no word of its own.
func otherwise(id BlockID, err error) Reason {
	switch {
	case id.IsShuffle():
		return ReasonBadMapOutput
	case errors.Is(err, fs.ErrNotExist):
		return ReasonNotFound
	default:
		return ReasonInternal
	}
}
