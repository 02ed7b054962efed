package data

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"io/fs"
	"path"
	"slices"

	"weft/bigdl/data/cifar"
	"weft/bigdl/data/imagenet"
	"weft/bigdl/data/mnist"
	"weft/bigdl/data/store"
	"weft/bigdl/data/synth"
)

// Size is the number of records of each part, and what of ImageNet can be chosen.
type Size struct {
	Train, Test int
	Classes     int // ImageNet alone; 0 stands for 10
	Side        int // ImageNet alone: pixels of each side; 0 stands for 256
}

// The streams of a seed.
const (
	streamTrain = iota
	streamTest
)

// Synthesize writes a learnable synthetic data set in a published format to a folder, a path or hdfs://HOST:PORT/PATH. The same seed gives
// the same images. Where a part of such a data set is there already, nothing is written.
func Synthesize(ctx context.Context, location string, f Format, n Size, seed uint64) error {
	write := map[Format]func(context.Context, store.Folder, Size, uint64) error{CIFAR10: synthCIFAR, MNIST: synthMNIST, ImageNet: synthImageNet}[f]
	if write == nil {
		return fmt.Errorf("unknown format %q: known are %s", f, formatNames())
	}
	if n.Classes == 0 {
		n.Classes = 10
	}
	if n.Side == 0 {
		n.Side = 256
	}
	if err := n.check(f); err != nil {
		return fmt.Errorf("synthetic %s: %w", f, err)
	}
	folder, err := store.Open(ctx, location)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	if err := absent(folder, outputs[f]...); err != nil {
		return err
	}
	if err := write(ctx, folder, n, seed); err != nil {
		return fmt.Errorf("synthetic %s in %s: %w", f, location, err)
	}
	return nil
}

// outputs are the files or folders that a data set consists of.
var outputs = map[Format][]string{
	CIFAR10:  slices.Concat(cifar.Train, cifar.Test),
	MNIST:    {mnist.Train.Images, mnist.Train.Labels, mnist.Test.Images, mnist.Test.Labels},
	ImageNet: {imagenet.Train, imagenet.Val},
}

// absent fails where one of these is there, so that no data set is a mixture of two.
func absent(folder store.Folder, names ...string) error {
	for _, name := range names {
		if _, err := fs.Stat(folder, name); err == nil {
			return fmt.Errorf("%s: %w: give another folder, or remove it; nothing was written", store.Join(folder.String(), name), fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (n Size) check(f Format) error {
	least := map[Format]int{CIFAR10: len(cifar.Train), MNIST: 1, ImageNet: n.Classes}[f]
	switch {
	case n.Train < least:
		return fmt.Errorf("%d training records are too few: at least %d are needed, so that no file or class is empty", n.Train, least)
	case n.Test < 1:
		return fmt.Errorf("%d test records are too few: at least 1 is needed", n.Test)
	case n.Classes < 2 || n.Classes > imagenet.Classes:
		return fmt.Errorf("%d classes: 2 to %d are possible", n.Classes, imagenet.Classes)
	case n.Side < 8 || n.Side > 4096:
		return fmt.Errorf("images of %d pixels: 8 to 4096 are possible", n.Side)
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
				for i := range end - first {
					if err := step(ctx, file, i, end-first); err != nil {
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
				for i := range part.n {
					if err := step(ctx, part.set.Images, i, part.n); err != nil {
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

// synthImageNet writes a JPEG file per image, as ImageNet has them.
func synthImageNet(ctx context.Context, folder store.Folder, n Size, seed uint64) error {
	plane := n.Side * n.Side
	pixels := make([]byte, 3*plane)
	img := image.NewRGBA(image.Rect(0, 0, n.Side, n.Side))
	for _, part := range []struct {
		name   string
		n      int
		stream uint64
	}{{imagenet.Train, n.Train, streamTrain}, {imagenet.Val, n.Test, streamTest}} {
		g := synth.New(seed, part.stream, n.Classes, n.Side, 3)
		for i := range part.n {
			if err := step(ctx, part.name, i, part.n); err != nil {
				return err
			}
			class := fmt.Sprintf("n%08d", g.Next(pixels)+1)
			for j := range plane {
				img.Pix[4*j], img.Pix[4*j+1], img.Pix[4*j+2], img.Pix[4*j+3] = pixels[j], pixels[plane+j], pixels[2*plane+j], 255
			}
			err := write(folder, path.Join(part.name, class, fmt.Sprintf("%s_%d.JPEG", class, i)), func(w io.Writer) error {
				return jpeg.Encode(w, img, &jpeg.Options{Quality: 90})
			})
			if err != nil {
				return err
			}
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
