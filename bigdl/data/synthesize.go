package data

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"weft/bigdl/data/cifar"
	"weft/bigdl/data/mnist"
	"weft/bigdl/data/store"
	"weft/bigdl/data/synth"
)

// Size is the number of records of each part.
type Size struct{ Train, Test int }

// The streams of a seed.
const (
	streamTrain = iota
	streamTest
)

// Synthesize writes a learnable synthetic data set in a published format to a folder, a path or hdfs://HOST:PORT/PATH. The same seed gives
// the same bytes. A file that is there already is an error, and is left as it is.
func Synthesize(ctx context.Context, location string, f Format, n Size, seed uint64) error {
	folder, err := store.Open(ctx, location)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	switch {
	case n.Test < 1:
		return fmt.Errorf("synthetic %s: %d test records: at least 1 is needed", f, n.Test)
	case f == CIFAR10 && n.Train < len(cifar.Train):
		return fmt.Errorf("synthetic %s: %d training records: at least one for each of the %d files is needed", f, n.Train, len(cifar.Train))
	case n.Train < 1:
		return fmt.Errorf("synthetic %s: %d training records: at least 1 is needed", f, n.Train)
	}
	switch f {
	case CIFAR10:
		err = synthCIFAR(ctx, folder, n, seed)
	case MNIST:
		err = synthMNIST(ctx, folder, n, seed)
	default:
		err = fmt.Errorf("unknown format %q: known are %s", f, formatNames())
	}
	if err != nil {
		return fmt.Errorf("synthetic %s in %s: %w", f, location, err)
	}
	return nil
}

func synthCIFAR(ctx context.Context, folder store.Folder, n Size, seed uint64) error {
	for _, part := range []struct {
		files  []string
		n      int
		stream uint64
	}{{cifar.Train, n.Train, streamTrain}, {cifar.Test, n.Test, streamTest}} {
		g := synth.New(seed, part.stream, cifar.Classes, cifar.Side, 3)
		pixels := make([]byte, cifar.PixelBytes)
		for i, file := range part.files {
			first, end := part.n*i/len(part.files), part.n*(i+1)/len(part.files)
			err := write(folder, file, func(w io.Writer) error {
				for range end - first {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := cifar.Write(w, byte(g.Next(pixels)), pixels); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func synthMNIST(ctx context.Context, folder store.Folder, n Size, seed uint64) error {
	for _, part := range []struct {
		set    mnist.Set
		n      int
		stream uint64
	}{{mnist.Train, n.Train, streamTrain}, {mnist.Test, n.Test, streamTest}} {
		g := synth.New(seed, part.stream, mnist.Classes, mnist.Side, 1)
		pixels := make([]byte, mnist.PixelBytes)
		err := write(folder, part.set.Images, func(images io.Writer) error {
			return write(folder, part.set.Labels, func(labels io.Writer) error {
				if err := mnist.WriteHeaders(images, labels, part.n); err != nil {
					return err
				}
				for range part.n {
					if err := ctx.Err(); err != nil {
						return err
					}
					if err := mnist.Write(images, labels, byte(g.Next(pixels)), pixels); err != nil {
						return err
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// write is Folder.Write with a buffer.
func write(folder store.Folder, name string, content func(io.Writer) error) error {
	return folder.Write(name, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<20)
		if err := content(b); err != nil {
			return err
		}
		return b.Flush()
	})
}
