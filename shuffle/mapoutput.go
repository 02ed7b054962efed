package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
)

// MapOutput is what an executor tells about one map output it committed.
type MapOutput struct {
	Shuffle    uint32
	Map        uint64
	Data       string // absolute path; there need not be a file where every partition is empty
	Index      string // absolute path
	Partitions uint32
}

// mapOutput is a registered map output. There may be hundreds of thousands, so it holds only what is needed to find its files;
// what was read from them is in the caches of mapOutputs.
type mapOutput struct {
	paths      string // of the data file, then of the index file, each beneath its directory
	size       int64  // bytes of the data file when it was registered
	partitions uint32
	dataLength uint16 // of the first path in paths
	dataDir    uint16 // their directories
	indexDir   uint16
	cost       uint16      // bytes of memory, of the application's share
	kept       bool        // its files are the daemon's own links
	warned     atomic.Bool // that it cannot be served
	gone       bool        // no longer registered; guarded by fileCache.mu
	dropped    bool        // the same, guarded by layoutCache.mu
}

func newMapOutput(data, indexFile place, n uint32, size int64) *mapOutput {
	return &mapOutput{
		paths: data.rel + indexFile.rel, size: size, partitions: n,
		dataLength: uint16(len(data.rel)), dataDir: uint16(data.dir), indexDir: uint16(indexFile.dir),
	}
}

func (m *mapOutput) data() place {
	return place{dir: int(m.dataDir), rel: m.paths[:m.dataLength]}
}

func (m *mapOutput) index() place {
	return place{dir: int(m.indexDir), rel: m.paths[m.dataLength:]}
}

// mapOutputs serves blocks of map outputs from their files.
type mapOutputs struct {
	files     *fileCache
	layouts   *layoutCache
	checksums bool
	log       *slog.Logger

	readCached func(fd int, p []byte, off int64) (int, error) // sockio.ReadCached, but in tests
}

// locate answers blocks, all of which are of m, in found. An answer that needs the data file holds a reference to it.
func (o *mapOutputs) locate(ctx context.Context, dirs *localDirs, m *mapOutput, blocks []BlockID, eager *eagerBlocks, found []Found) {
	err := o.tryLocate(ctx, dirs, m, blocks, eager, found)
	if err == nil {
		return
	}
	closeFound(found)
	failure := fileError(err, ReasonBadMapOutput)
	if failure.Reason == ReasonBadMapOutput && !m.warned.Swap(true) {
		o.log.Warn("a map output cannot be served; readers fetch it by Spark's own client",
			"shuffle", blocks[0].Shuffle, "map", blocks[0].Map, "error", failure.Detail)
	}
	for i := range found {
		found[i] = Found{Err: failure}
	}
}

func (o *mapOutputs) tryLocate(ctx context.Context, dirs *localDirs, m *mapOutput, blocks []BlockID, eager *eagerBlocks, found []Found) error {
	l, file, err := o.open(dirs, m)
	if err != nil {
		return err
	}
	if file != nil {
		defer file.unref()
	}
	for len(blocks) > 0 {
		n, length := eager.run(l, blocks, found)
		if n > 0 {
			err = eager.read(l, file, blocks[:n], found[:n], length)
		} else {
			n, err = o.hold(ctx, l, file, blocks, eager, found)
		}
		if err != nil {
			return err
		}
		blocks, found = blocks[n:], found[n:]
	}
	return nil
}

// hold answers the blocks at the beginning up to the next one that comes with the answer, by where they lie in the file.
func (o *mapOutputs) hold(ctx context.Context, l *layout, file *dataFile, blocks []BlockID, eager *eagerBlocks, found []Found) (n int, err error) {
	for n = 1; n < len(blocks); n++ {
		if small, _ := eager.run(l, blocks[n:n+1], found[n:]); small > 0 {
			found[n] = Found{}
			break
		}
	}
	blocks = blocks[:n]
	if l.sums != nil {
		if err := l.sums.ensure(ctx, l.index, file, blocks); err != nil {
			return 0, err
		}
	}
	refs := 0
	for i, block := range blocks {
		if partitions := l.index.partitions(); block.ReduceEnd > partitions {
			found[i] = Found{Err: Errorf(ReasonNotFound, "%s: the map output has %d partitions", block, partitions)}
			continue
		}
		f := l.find(block)
		if f.Length > 0 {
			f.File, f.Close = file.osFile(), file.unref
			refs++
		}
		found[i] = f
	}
	if refs > 0 {
		o.files.share(file, refs)
	}
	return n, nil
}

// errReplaced tells that a data file was unlinked: what is at its path now, if anything, is another map output's attempt.
var errReplaced = errors.New("the data file is being removed or replaced")

// open gives the layout of m for its data file as it is now, and the file with one reference; no file where there is none because no
// partition has bytes. A file that was replaced since it was opened is opened again: what is served does not depend on the cache.
func (o *mapOutputs) open(dirs *localDirs, m *mapOutput) (*layout, *dataFile, error) {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		file, err := o.openData(dirs, m)
		if err != nil {
			return nil, nil, err
		}
		l, err := o.layout(dirs, m, file)
		switch {
		case err == nil:
			return l, file, nil
		case file == nil:
			return nil, nil, fmt.Errorf("there is no data file %s: %w", dirs.path(m.data()), err)
		}
		o.files.drop(file)
		file.unref()
		if !errors.Is(err, errReplaced) || attempt == attempts {
			return nil, nil, err
		}
	}
}

// openData gives no file where there is none.
func (o *mapOutputs) openData(dirs *localDirs, m *mapOutput) (*dataFile, error) {
	if f := o.files.acquire(m); f != nil {
		return f, nil
	}
	if err := o.files.reserve(dirs.app); err != nil {
		return nil, err
	}
	fd, _, err := dirs.openFD(m.data())
	if err != nil {
		o.files.unreserve(dirs.app)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return o.files.add(dirs.app, m, fd, dirs.name(m.data())), nil
}

// layout gives what is known about data, reading the index if need be.
func (o *mapOutputs) layout(dirs *localDirs, m *mapOutput, data *dataFile) (*layout, error) {
	id, err := data.id()
	if err != nil {
		return nil, err
	}
	if l := o.layouts.get(m, id); l != nil {
		return l, nil
	}
	file, stat, err := dirs.openFD(m.index())
	if err != nil {
		return nil, err
	}
	x, err := readIndex(file, stat.Size, m.partitions, id.size)
	_ = file.Close()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dirs.path(m.index()), err)
	}
	// Spark never writes over a complete pair of files. So if the index that was read is not this data file's, the file was removed before.
	if _, err := data.id(); err != nil {
		return nil, err
	}
	l := &layout{file: id, index: x}
	if o.checksums {
		l.sums = newPartitionSums(m.partitions)
	}
	return o.layouts.add(dirs.app, m, l), nil
}

// id is errReplaced for a file that was unlinked. Of no file, it is that of an empty one.
func (f *dataFile) id() (fileID, error) {
	if f == nil {
		return fileID{}, nil
	}
	var stat unix.Statx_t
	if err := sockio.StatCached(int(f.fd), unix.STATX_INO|unix.STATX_NLINK|unix.STATX_SIZE, &stat); err != nil {
		return fileID{}, fmt.Errorf("stat %s: %w", f.name, err)
	}
	if stat.Nlink == 0 {
		return fileID{}, fmt.Errorf("%s: %w", f.name, errReplaced)
	}
	return fileID{dev: unix.Mkdev(stat.Dev_major, stat.Dev_minor), ino: stat.Ino, size: int64(stat.Size)}, nil
}

// forget gives up everything kept about m.
func (o *mapOutputs) forget(m *mapOutput) {
	o.files.forget(m)
	o.layouts.forget(m)
}

// fileError says why blocks of a file cannot be served; otherwise is the reason where the error tells no better one.
func fileError(err error, otherwise Reason) *BlockError {
	switch {
	case errors.Is(err, os.ErrClosed):
		return Errorf(ReasonOwnerGone, "the executor has left")
	case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE):
		return Errorf(ReasonNoSpace, "%v; raise the limit of open files (LimitNOFILE)", err)
	}
	if failure := ToBlockError(err); failure.Reason != ReasonInternal {
		return failure
	}
	return Errorf(otherwise, "%v", err)
}
