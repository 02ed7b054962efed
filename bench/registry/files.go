package registry

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"weft/shuffle"
)

const (
	partitionBytes = 64
	folders        = 64     // spark.diskStore.subDirectories
	linksOfAFile   = 10_000 // file systems bound them: ext4 at 65,000
)

// mapOutput is where map output m lies, named as Spark names it.
func (c Config) mapOutput(m int) shuffle.MapOutput {
	folder := filepath.Join(c.Dir, fmt.Sprintf("%02x", m%folders))
	name := filepath.Join(folder, fmt.Sprintf("shuffle_%d_%d_0", shuffleID, m))
	return shuffle.MapOutput{Shuffle: shuffleID, Map: uint64(m), Data: name + ".data", Index: name + ".index", Partitions: uint32(c.Reducers)}
}

// writeFiles gives each map output a data and an index file. To spare the disk, thousands are names of one pair: the registry knows files by
// their paths, so it reads and keeps each by itself.
func (c Config) writeFiles() error {
	for i := range folders {
		if err := os.Mkdir(filepath.Join(c.Dir, fmt.Sprintf("%02x", i)), 0o755); err != nil {
			return err
		}
	}
	index := make([]byte, 8*(c.Reducers+1))
	for p := range c.Reducers + 1 {
		binary.BigEndian.PutUint64(index[8*p:], uint64(p*partitionBytes))
	}
	var first shuffle.MapOutput
	for m := range c.Outputs {
		o := c.mapOutput(m)
		for _, file := range []struct {
			path, first string
			content     []byte
		}{{o.Data, first.Data, make([]byte, c.Reducers*partitionBytes)}, {o.Index, first.Index, index}} {
			var err error
			if m%linksOfAFile == 0 {
				err = os.WriteFile(file.path, file.content, 0o644)
			} else {
				err = os.Link(file.first, file.path)
			}
			if err != nil {
				return err
			}
		}
		if m%linksOfAFile == 0 {
			first = o
		}
	}
	return nil
}
