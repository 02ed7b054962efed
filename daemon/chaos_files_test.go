package daemon

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
)

// output is a map output that can be broken and made whole again.
type output struct {
	shuffle uint32
	id      uint64
	dataAt  string
	indexAt string
	data    []byte
	index   []byte
	blocks  [][]byte // in data
}

// newOutput writes a map output with a block for each size.
func newOutput(dir string, shuffle uint32, id uint64, sizes []int) (*output, error) {
	at := filepath.Join(dir, fmt.Sprintf("shuffle_%d_%d_0.data", shuffle, id))
	o := &output{shuffle: shuffle, id: id, dataAt: at, indexAt: at + ".index", index: make([]byte, 8)}
	for i, size := range sizes {
		o.data = append(o.data, bytesOf(size, id<<16|uint64(i))...)
		o.index = binary.BigEndian.AppendUint64(o.index, uint64(len(o.data)))
	}
	end := 0
	for _, size := range sizes {
		o.blocks = append(o.blocks, o.data[end:end+size])
		end += size
	}
	return o, o.restore()
}

// registration is the frame that tells the daemon of it.
func (o *output) registration() *bridgepb.ToDaemon {
	return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
		ShuffleId: o.shuffle, MapId: o.id, DataPath: o.dataAt, IndexPath: o.indexAt, NumPartitions: uint32(len(o.blocks)),
	}}}
}

// restore puts whole files in place of what is there, as Spark does: by renaming, so that nobody sees half of one.
func (o *output) restore() error {
	if err := replace(o.indexAt, o.index); err != nil {
		return err
	}
	return replace(o.dataAt, o.data)
}

// replace makes the file at path a new one with this content.
func replace(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return swapIn(path)
}

// swapIn puts what is at path with ".new" in place of what is at path.
func swapIn(path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return os.Rename(path+".new", path)
}

// breakages are what can happen to the files; n is a random number.
var breakages = map[string]func(o *output, n int) error{
	"truncate": func(o *output, n int) error { return os.Truncate(o.dataAt, int64(n%len(o.data))) },
	"remove":   func(o *output, _ int) error { return os.Remove(o.dataAt) },
	"rot": func(o *output, n int) error {
		f, err := os.OpenFile(o.dataAt, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		at := n % len(o.data)
		_, err = f.WriteAt([]byte{o.data[at] ^ 1}, int64(at))
		if closing := f.Close(); err == nil {
			err = closing
		}
		return err
	},
	// An index is read once for each data file, so each of these comes with a new one.
	"index": func(o *output, n int) error {
		garbage := bytes.Clone(o.index)
		_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(garbage)
		return o.with(garbage)
	},
	"shortindex": func(o *output, n int) error { return o.with(o.index[:n%len(o.index)]) },
	"noindex": func(o *output, _ int) error {
		if err := os.Remove(o.indexAt); err != nil {
			return err
		}
		return replace(o.dataAt, o.data)
	},
	"directory": func(o *output, _ int) error {
		if err := os.Remove(o.dataAt); err != nil {
			return err
		}
		return os.Mkdir(o.dataAt, 0o700)
	},
	"symlink": func(o *output, _ int) error {
		if err := os.Symlink("/etc/passwd", o.dataAt+".new"); err != nil {
			return err
		}
		return swapIn(o.dataAt)
	},
	"fifo": func(o *output, _ int) error {
		if err := unix.Mkfifo(o.dataAt+".new", 0o600); err != nil {
			return err
		}
		return swapIn(o.dataAt)
	},
	"forbid": forbid,
}

// with is a new data file beside another index.
func (o *output) with(index []byte) error {
	if err := replace(o.indexAt, index); err != nil {
		return err
	}
	return replace(o.dataAt, o.data)
}

// forbid makes the data file one that the executor may not read: of another user, or, where only root could do that, of nobody's.
func forbid(o *output, _ int) error {
	if err := os.WriteFile(o.dataAt+".new", o.data, 0o600); err != nil {
		return err
	}
	err := os.Chmod(o.dataAt+".new", 0)
	if os.Getuid() == 0 {
		err = os.Chown(o.dataAt+".new", 12345, -1)
	}
	if err != nil {
		return err
	}
	return swapIn(o.dataAt)
}

func appendTo(path string, more []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(more)
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}

// inode tells a file from another one at the same path.
func inode(path string) uint64 {
	var stat unix.Stat_t
	_ = unix.Stat(path, &stat)
	return stat.Ino
}
