package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// maxLine is where a line without an end is cut, so that a job cannot fill the memory.
const maxLine = 64 << 10

// console takes what a guest prints. It passes the job's lines on, each with the prefix, and keeps what the kernel says before the job
// starts, but not what it says after its end. The guest's init announces start and end of the job in words that begin with a token,
// which no job knows.
type console struct {
	prefix string
	token  string

	mu   *sync.Mutex // of all consoles that write to out
	out  io.Writer
	part []byte // a line whose end is to come

	boot    []string // what came before the job
	started bool
	ended   bool
	status  int
	last    string // the last line
}

// Write takes output of the guest, cut anywhere. It does not fail: a guest must not stop because nobody reads.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.part = append(c.part, p...)
	for {
		end := bytes.IndexByte(c.part, '\n')
		switch {
		case end >= 0:
			c.line(string(c.part[:end]))
			c.part = c.part[end+1:]
		case len(c.part) >= maxLine:
			c.line(string(c.part))
			c.part = nil
		default:
			return len(p), nil
		}
	}
}

// flush passes on what has no end of line.
func (c *console) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.part) > 0 {
		c.line(string(c.part))
		c.part = nil
	}
}

func (c *console) line(text string) {
	if c.ended {
		return
	}
	text = strings.TrimRight(text, "\r") // the console's terminal adds one
	// What a job wrote without an end of line stands before the token.
	before, word, announced := strings.Cut(text, c.token+" ")
	if announced {
		text = before
		if status, ok := strings.CutPrefix(word, "exit "); ok {
			code, err := strconv.Atoi(status)
			c.status, c.ended = code, err == nil
		}
	}
	switch {
	case announced && text == "":
	case !c.started:
		c.boot = append(c.boot, text)
		c.last = text
	default:
		fmt.Fprintf(c.out, "%s%s\n", c.prefix, text)
		c.last = text
	}
	c.started = c.started || announced && word == "start"
}

// lastWords tells of the last that the guest has said so far.
func (c *console) lastWords() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.last
	if len(c.part) > 0 {
		last = string(c.part)
	}
	if last == "" {
		return "it had said nothing"
	}
	return fmt.Sprintf("its last line: %q", last)
}
