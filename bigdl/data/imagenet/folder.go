package imagenet

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// The parts of the data set, folders both.
const (
	Train = "train"
	Val   = "val"
)

// Class is a class folder of a part.
type Class struct {
	Name  string
	Label int // 1 is the first class by name
}

// Image is one image file of a part.
type Image struct {
	Class Class
	File  string // from the data set's folder
}

// List lists the classes of a part and their images, by name, and labels the classes in the order of their names, as BigDL does. With a
// list of known classes, a part may have fewer of them, and they keep their labels.
func List(fsys fs.FS, part string, known []Class) (classes []Class, images []Image, err error) {
	labels := map[string]int{}
	for _, c := range known {
		labels[c.Name] = c.Label
	}
	folders, err := fs.ReadDir(fsys, part)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range folders {
		name := path.Join(part, d.Name())
		if !d.IsDir() {
			return nil, nil, fmt.Errorf("%s: is a file where only folders of classes should be: remove it, BigDL would take it for a class", name)
		}
		c := Class{d.Name(), len(classes) + 1}
		if known != nil {
			if c.Label = labels[c.Name]; c.Label == 0 {
				return nil, nil, fmt.Errorf("%s: is a class that the training set has not: labels would not agree", name)
			}
		}
		files, err := fs.ReadDir(fsys, name)
		if err != nil {
			return nil, nil, err
		}
		if len(files) == 0 {
			return nil, nil, fmt.Errorf("%s: a class without images: remove the folder, or fetch its images", name)
		}
		for _, f := range files {
			if f.IsDir() || strings.HasPrefix(f.Name(), ".") {
				return nil, nil, fmt.Errorf("%s: is no image: remove it, BigDL would take it for one", path.Join(name, f.Name()))
			}
			images = append(images, Image{c, path.Join(name, f.Name())})
		}
		classes = append(classes, c)
	}
	if len(classes) == 0 || len(classes) > Classes {
		return nil, nil, fmt.Errorf("%s: has %d class folders; 1 to %d are needed", part, len(classes), Classes)
	}
	return classes, images, nil
}
