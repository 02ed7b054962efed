// Package synth makes images that a model can learn to tell apart: every class has a pattern of 8x8 grey values in each plane, and an image
// is its class's pattern, stretched to the image's size, with noise. The same seed makes the same images on every machine. It knows no file
// format.
package synth

import "math/rand/v2"

const (
	grid  = 8  // the pattern's side
	noise = 40 // the noise's standard deviation, in grey values
)

// Generator makes one stream of images.
type Generator struct {
	random   *rand.Rand
	patterns [][]byte // by class: planes of grid x grid
	side     int
	planes   int
	turn     []int // classes, shuffled for each round
	next     int
}

// New makes a generator of square images. Streams of one seed differ in order and noise, but share the classes' patterns: one for training
// and another for testing.
func New(seed, stream uint64, classes, side, planes int) *Generator {
	g := &Generator{random: rand.New(rand.NewPCG(seed, stream+1)), side: side, planes: planes}
	common := rand.New(rand.NewPCG(seed, 0))
	for class := range classes {
		p := make([]byte, planes*grid*grid)
		for i := range p {
			p[i] = byte(common.IntN(256))
		}
		g.patterns = append(g.patterns, p)
		g.turn = append(g.turn, class)
	}
	g.next = classes
	return g
}

// Next fills pixels, plane after plane, with the next image and gives its class. Of any number of consecutive rounds, each has every class
// once.
func (g *Generator) Next(pixels []byte) (class int) {
	if g.next == len(g.turn) {
		g.random.Shuffle(len(g.turn), func(i, j int) { g.turn[i], g.turn[j] = g.turn[j], g.turn[i] })
		g.next = 0
	}
	class = g.turn[g.next]
	g.next++
	g.Fill(class, pixels)
	return class
}

// Fill fills pixels with the next image of a class.
func (g *Generator) Fill(class int, pixels []byte) {
	i := 0
	for plane := range g.planes {
		p := g.patterns[class][plane*grid*grid:]
		for y := range g.side {
			row := p[y*grid/g.side*grid:]
			for x := range g.side {
				v := float64(row[x*grid/g.side]) + noise*g.random.NormFloat64()
				pixels[i] = byte(min(max(v, 0), 255))
				i++
			}
		}
	}
}
