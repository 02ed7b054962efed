package data

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"weft/bigdl/data/imagenet"
	"weft/bigdl/data/seqfile"
)

// Records of the published parts.
var publishedImageNet = map[string]int{imagenet.Train: 1281167, imagenet.Val: 50000}

func verifyImageNet(ctx context.Context, fsys fs.FS) (parts []Part, err error) {
	var classes []imagenet.Class
	for _, name := range []string{imagenet.Train, imagenet.Val} {
		entries, err := fs.ReadDir(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var files []string
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), seqSuffix) {
				files = append(files, path.Join(name, e.Name()))
			}
		}
		var p Part
		if len(files) > 0 {
			p, err = verifySeqFiles(ctx, fsys, name, files)
		} else {
			p, classes, err = verifyImages(ctx, fsys, name, classes)
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func verifySeqFiles(ctx context.Context, fsys fs.FS, part string, files []string) (Part, error) {
	codecs := map[seqfile.Codec]bool{}
	t := newTally(part, "", publishedImageNet[part])
	for _, file := range files {
		codec, err := tallySeqFile(ctx, fsys, file, t)
		if err != nil {
			return Part{}, err
		}
		codecs[codec] = true
	}
	var names []string
	for _, c := range seqfile.Codecs {
		if codecs[c] {
			names = append(names, string(c))
		}
	}
	t.part.Kind = "ImageNet, sequence files, codec " + strings.Join(names, " and ")
	return t.done(func(label int) string { return fmt.Sprint(label + 1) })
}

func tallySeqFile(ctx context.Context, fsys fs.FS, file string, t *tally) (seqfile.Codec, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	t.part.Files++
	r, err := seqfile.NewReader(newBuffered(f), file)
	if err != nil {
		return "", err
	}
	for n := 0; ; n++ {
		key, value, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Codec(), nil
		}
		if err != nil {
			return "", err
		}
		record, err := imagenet.Parse(key, value)
		if err != nil {
			return "", fmt.Errorf("%s: record %d: %w: it was not written for BigDL, or is damaged; write it again (weft bench data seqfile)", file, n, err)
		}
		t.add(record.Label-1, key, value)
		if err := step(ctx, file, n, 0); err != nil {
			return "", err
		}
	}
}

func verifyImages(ctx context.Context, fsys fs.FS, part string, known []imagenet.Class) (Part, []imagenet.Class, error) {
	classes, images, err := imagenet.List(fsys, part, known)
	if err != nil {
		return Part{}, nil, err
	}
	t := newTally(part, "ImageNet, a folder of images for each class", publishedImageNet[part])
	names := map[int]string{}
	for i, img := range images {
		if err := step(ctx, part, i, len(images)); err != nil {
			return Part{}, nil, err
		}
		names[img.Class.Label-1] = img.Class.Name
		t.part.Files++
		t.add(img.Class.Label-1, []byte(path.Base(img.File)))
		if _, err := decode(fsys, img.File, t.digest); err != nil {
			return Part{}, nil, err
		}
	}
	p, err := t.done(func(label int) string { return names[label] })
	return p, classes, err
}

// buffered is a file with a buffer.
type buffered struct {
	*bufio.Reader
	io.Closer
}

func newBuffered(f fs.File) buffered { return buffered{bufio.NewReaderSize(f, 256<<10), f} }
