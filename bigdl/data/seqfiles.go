package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"weft/bigdl/data/imagenet"
	"weft/bigdl/data/seqfile"
	"weft/bigdl/data/store"
)

const seqSuffix = ".seq" // BigDL takes no other file

// SeqFiles is how the sequence files are made from which BigDL reads ImageNet.
type SeqFiles struct {
	From, To string        // data sets' folders
	Codec    seqfile.Codec // of each value
	Side     int           // pixels of the shorter side after scaling; 0: as it is
	PerFile  int           // images of a file
	Names    bool          // the keys have the images' names, too
	Seed     uint64        // of the images' order
}

// WriteSeqFiles writes sequence files, in train/ and val/ of To, out of the class folders in train/ and val/ of From. Either part may be
// missing, not both. Where To has train/ or val/ already, nothing is written.
func WriteSeqFiles(ctx context.Context, c SeqFiles) error {
	if c.PerFile < 1 {
		return fmt.Errorf("%d images in a file: at least 1 is needed", c.PerFile)
	}
	if c.Side != 0 && (c.Side < 8 || c.Side > 4096) {
		return fmt.Errorf("scaled to %d pixels: 8 to 4096 are possible, or 0 for images as they are", c.Side)
	}
	from, err := store.Open(ctx, c.From)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := store.Open(ctx, c.To)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	if err := absent(to, outputs[ImageNet]...); err != nil {
		return err
	}
	var classes []imagenet.Class
	parts := 0
	for i, part := range []string{imagenet.Train, imagenet.Val} {
		found, images, err := imagenet.List(from, part, classes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.From, err)
		}
		if part == imagenet.Train {
			classes = found
		}
		parts++
		random := rand.New(rand.NewPCG(c.Seed, uint64(i)))
		random.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
		if err := c.part(ctx, from, to, part, images); err != nil {
			return err
		}
	}
	if parts == 0 {
		return fmt.Errorf("%s: has neither %s/ nor %s/: name the folder above the two, each of which has a folder of images for each class", c.From, imagenet.Train, imagenet.Val)
	}
	return nil
}

func (c SeqFiles) part(ctx context.Context, from, to store.Folder, part string, images []imagenet.Image) error {
	done := 0
	for i := 0; done < len(images); i++ {
		name := path.Join(part, fmt.Sprintf("imagenet-seq-0_%d%s", i, seqSuffix)) // as BigDL's own generator names them
		mine := images[done:min(done+c.PerFile, len(images))]
		err := write(to, name, func(w io.Writer) error {
			hash := sha256.Sum256(fmt.Appendf(nil, "weft %d %s %d", c.Seed, name, len(images)))
			out, err := seqfile.NewWriter(w, c.Codec, [16]byte(hash[:]))
			if err != nil {
				return err
			}
			for some := range slices.Chunk(mine, 2*runtime.GOMAXPROCS(0)) {
				if err := step(ctx, name, done, len(images)); err != nil {
					return err
				}
				records, err := c.records(from, some)
				if err != nil {
					return err
				}
				for _, r := range records {
					if err := out.Append(r.Key(), r.Value()); err != nil {
						return err
					}
				}
				done += len(some)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sequence files in %s: %w", c.To, err)
		}
	}
	return nil
}

// records reads some images, all at once.
func (c SeqFiles) records(from store.Folder, images []imagenet.Image) ([]imagenet.Record, error) {
	records, errs := make([]imagenet.Record, len(images)), make([]error, len(images))
	var wg sync.WaitGroup
	for i, img := range images {
		wg.Go(func() {
			decoded, err := decode(from, img.File, nil)
			if err != nil {
				errs[i] = err
				return
			}
			r := imagenet.Record{Label: img.Class.Label}
			r.Width, r.Height, r.BGR = imagenet.Scale(decoded, c.Side)
			if c.Names {
				r.Name = strings.ReplaceAll(path.Base(img.File), "\n", " ")
			}
			records[i] = r
		})
	}
	wg.Wait()
	return records, errors.Join(errs...)
}
