package imagenet_test

import (
	"bytes"
	"image"
	"image/png"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"weft/bigdl/data/imagenet"
)

func TestRecord(t *testing.T) {
	bgr := []byte{1, 2, 3, 4, 5, 6}
	for key, r := range map[string]imagenet.Record{
		"7":                {Label: 7, Width: 2, Height: 1, BGR: bgr},
		"n01_1.JPEG\n1000": {Label: 1000, Name: "n01_1.JPEG", Width: 1, Height: 2, BGR: bgr},
	} {
		value := append([]byte{0, 0, 0, byte(r.Width), 0, 0, 0, byte(r.Height)}, bgr...)
		if string(r.Key()) != key || !bytes.Equal(r.Value(), value) {
			t.Errorf("%+v has the key %q and the value %v", r, r.Key(), r.Value())
		}
		if got, err := imagenet.Parse([]byte(key), value); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%q: %+v, %v", key, got, err)
		}
	}
	if r, err := imagenet.Parse([]byte("3.0"), []byte{0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3}); err != nil || r.Label != 3 { // as BigDL reads it
		t.Errorf("label 3.0: %+v, %v", r, err)
	}
}

func TestDamagedRecords(t *testing.T) {
	right := []byte{0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3}
	for _, c := range []struct {
		key   string
		value []byte
		want  string
	}{
		{"", right, "has no label"},
		{"name", right, "has no label"},
		{"name\n", right, "has no label"},
		{"1.5", right, "has no label"},
		{"NaN", right, "has no label"},
		{"0", right, "has the label 0, and labels are 1 to 1000"},
		{"-1", right, "has the label -1"},
		{"1001", right, "has the label 1001"},
		{"1", right[:7], "has no width and height"},
		{"1", right[:10], "says 1x1 pixels of 3 bytes and has 2 bytes of them"},
		{"1", append([]byte{0, 0, 0, 0}, right[4:]...), "says 0x1 pixels"},
		{"1", append([]byte{0xff, 0, 0, 0}, right[4:]...), "says 4278190080x1 pixels"},
	} {
		if _, err := imagenet.Parse([]byte(c.key), c.value); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %v: %v; want %s", c.key, c.value, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("1"), []byte{0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3})
	f.Add([]byte("name\n12"), []byte{0, 0, 0, 1, 0, 0, 0, 2, 1, 2, 3})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, err := imagenet.Parse(key, value)
		if err == nil && (!bytes.Equal(r.Value(), value) || r.Label < 1 || r.Label > imagenet.Classes || len(r.BGR) != 3*r.Width*r.Height) {
			t.Errorf("%q: %+v", key, r)
		}
	})
}

func TestScale(t *testing.T) {
	for _, c := range [][5]int{{500, 375, 256, 341, 256}, {375, 500, 256, 256, 341}, {100, 100, 256, 256, 256}, {500, 375, 0, 500, 375}} {
		if w, h := imagenet.Scaled(c[0], c[1], c[2]); w != c[3] || h != c[4] {
			t.Errorf("%dx%d to %d: %dx%d, want %dx%d", c[0], c[1], c[2], w, h, c[3], c[4])
		}
	}
	// Left half red, right half blue; one column of pixels is cut off by the bounds.
	img := image.NewNRGBA(image.Rect(0, 0, 9, 4))
	for y := range 4 {
		for x := range 9 {
			pixel := []byte{200, 0, 0, 255}
			if x > 4 {
				pixel = []byte{0, 50, 100, 255}
			}
			copy(img.Pix[img.PixOffset(x, y):], pixel)
		}
	}
	part := img.SubImage(image.Rect(1, 0, 9, 4))
	if w, h, bgr := imagenet.Scale(part, 0); w != 8 || h != 4 || len(bgr) != 96 || !bytes.Equal(bgr[9:15], []byte{0, 0, 200, 100, 50, 0}) {
		t.Errorf("%dx%d %v", w, h, bgr)
	}
	if w, h, bgr := imagenet.Scale(part, 2); w != 4 || h != 2 || !bytes.Equal(bgr[:3], []byte{0, 0, 200}) || !bytes.Equal(bgr[9:12], []byte{100, 50, 0}) {
		t.Errorf("%dx%d %v", w, h, bgr)
	}
}

func TestDecode(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 30, 20))); err != nil {
		t.Fatal(err)
	}
	if img, err := imagenet.Decode(bytes.NewReader(b.Bytes())); err != nil || img.Bounds().Dx() != 30 {
		t.Errorf("%v", err)
	}
	if _, err := imagenet.Decode(bytes.NewReader(b.Bytes()[:b.Len()/2])); err == nil {
		t.Error("half an image is one")
	}
	if _, err := imagenet.Decode(strings.NewReader("<html>")); err == nil {
		t.Error("a page is an image")
	}
}

func TestList(t *testing.T) {
	files := fstest.MapFS{"train/n2/b.JPEG": {}, "train/n1/c.JPEG": {}, "train/n2/a.JPEG": {}, "train/n3/d.JPEG": {}, "val/n3/e.JPEG": {}}
	classes, images, err := imagenet.List(files, imagenet.Train, nil)
	if err != nil {
		t.Fatal(err)
	}
	n1, n2, n3 := imagenet.Class{Name: "n1", Label: 1}, imagenet.Class{Name: "n2", Label: 2}, imagenet.Class{Name: "n3", Label: 3}
	if !reflect.DeepEqual(classes, []imagenet.Class{n1, n2, n3}) {
		t.Errorf("classes %v", classes)
	}
	want := []imagenet.Image{{Class: n1, File: "train/n1/c.JPEG"}, {Class: n2, File: "train/n2/a.JPEG"}, {Class: n2, File: "train/n2/b.JPEG"}, {Class: n3, File: "train/n3/d.JPEG"}}
	if !reflect.DeepEqual(images, want) {
		t.Errorf("images %v", images)
	}
	// A class that validation lacks does not shift the labels of the others.
	_, images, err = imagenet.List(files, imagenet.Val, classes)
	if err != nil || !reflect.DeepEqual(images, []imagenet.Image{{Class: n3, File: "val/n3/e.JPEG"}}) {
		t.Errorf("validation %v, %v", images, err)
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	for want, files := range map[string]fstest.MapFS{
		"train/labels.txt: is a file where only folders":     {"train/labels.txt": {}, "train/n1/a.JPEG": {}},
		"train/n1/.DS_Store: is no image":                    {"train/n1/.DS_Store": {}},
		"train/n1/images: is no image":                       {"train/n1/images/a.JPEG": {}},
		"train/n2: a class without images":                   {"train/n1/a.JPEG": {}, "train/n2": {Mode: 0o755 | 1<<31}},
		"train: has 0 class folders":                         {"train": {Mode: 0o755 | 1<<31}},
		"train/n2: is a class that the training set has not": {"train/n2/a.JPEG": {}},
	} {
		var known []imagenet.Class
		if strings.Contains(want, "training set") {
			known = []imagenet.Class{{Name: "n1", Label: 1}}
		}
		if _, _, err := imagenet.List(files, imagenet.Train, known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
