package imagenet

import (
	"fmt"
	"image"
	_ "image/jpeg" // what ImageNet's files are,
	_ "image/png"  // and one of them
	"io"

	"golang.org/x/image/draw"
)

// Decode reads an image file.
func Decode(r io.Reader) (image.Image, error) {
	img, _, err := image.Decode(r)
	if err != nil {
		return nil, err
	}
	if b := img.Bounds(); b.Dx() < 1 || b.Dy() < 1 || b.Dx() > maxSide || b.Dy() > maxSide {
		return nil, fmt.Errorf("an image of %dx%d pixels; up to %d in each direction are taken", b.Dx(), b.Dy(), maxSide)
	}
	return img, nil
}

// Scaled is an image's size after its shorter side became side pixels; 0 leaves it as it is. It is rounded as BigDL does.
func Scaled(width, height, side int) (int, int) {
	switch {
	case side == 0:
		return width, height
	case width < height:
		return side, side * height / width
	}
	return side * width / height, side
}

// Scale makes the pixels of a record out of an image.
func Scale(img image.Image, side int) (width, height int, bgr []byte) {
	width, height = Scaled(img.Bounds().Dx(), img.Bounds().Dy(), side)
	rgba := image.NewRGBA(image.Rect(0, 0, width, height))
	if width == img.Bounds().Dx() && height == img.Bounds().Dy() {
		draw.Draw(rgba, rgba.Bounds(), img, img.Bounds().Min, draw.Src)
	} else {
		draw.BiLinear.Scale(rgba, rgba.Bounds(), img, img.Bounds(), draw.Src, nil)
	}
	bgr = make([]byte, 0, 3*width*height)
	for i := 0; i < len(rgba.Pix); i += 4 {
		bgr = append(bgr, rgba.Pix[i+2], rgba.Pix[i+1], rgba.Pix[i])
	}
	return width, height, bgr
}
