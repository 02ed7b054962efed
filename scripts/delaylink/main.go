// Command delaylink is a cable that delays or loses packets: it passes frames between two network
// devices of its namespace, in both directions, until it is ended. scripts/cluster puts it between a
// host and the switch where the kernel has no netem. It does not reorder, duplicate or limit the rate.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A frame with the header for segmentation and checksum offload, which travels with it:
// neighbours on one machine leave checksums open and hand over up to 64 KiB at once.
const maxFrame = 10 + 14 + 4 + 65536

// queueLen bounds what one direction holds, in frames; more is dropped, as a switch does.
const queueLen = 4096

func main() {
	delay := flag.Duration("delay", 0, "time that each frame is held, in each direction")
	loss := flag.String("loss", "0%", "share of frames to drop at random, in each direction")
	flag.Parse()
	if err := run(*delay, *loss, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "delaylink:", err)
		os.Exit(1)
	}
}

func run(delay time.Duration, loss string, devices []string) error {
	share, err := strconv.ParseFloat(strings.TrimSuffix(loss, "%"), 64)
	if err != nil || share < 0 || share > 100 {
		return fmt.Errorf("loss is a percentage from 0%% to 100%%, not %q", loss)
	}
	if len(devices) != 2 {
		return fmt.Errorf("need two devices, got %d", len(devices))
	}
	var ends [2]int
	for i, name := range devices {
		if ends[i], err = open(name); err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
	}
	fmt.Printf("ready delay %v loss %v%%\n", delay, share)
	failed := make(chan error, 2)
	go func() { failed <- pass(ends[0], ends[1], delay, share/100) }()
	go func() { failed <- pass(ends[1], ends[0], delay, share/100) }()
	return <-failed
}

// open returns a packet socket that sees the frames arriving at the device, and not those it sends.
func open(name string) (int, error) {
	dev, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8 // network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	for _, option := range []int{unix.PACKET_VNET_HDR, unix.PACKET_IGNORE_OUTGOING} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			return -1, fmt.Errorf("setsockopt %d: %w", option, err)
		}
	}
	for _, option := range []int{unix.SO_RCVBUFFORCE, unix.SO_SNDBUFFORCE} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 16<<20); err != nil {
			return -1, fmt.Errorf("setsockopt %d: %w", option, err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index}); err != nil {
		return -1, fmt.Errorf("bind: %w", err)
	}
	return fd, nil
}

type held struct {
	frame []byte
	until time.Time
}

// pass moves frames from one socket to the other until reading fails.
func pass(from, to int, delay time.Duration, loss float64) error {
	queue := make(chan held, queueLen)
	go func() {
		for h := range queue {
			time.Sleep(time.Until(h.until))
			_, _ = unix.Write(to, h.frame) // what the device refuses is lost, as on a cable
		}
	}()
	defer close(queue)
	buf := make([]byte, maxFrame)
	for {
		n, err := unix.Read(from, buf)
		switch {
		case err == unix.EINTR || err == unix.ENETDOWN:
			continue
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case rand.Float64() < loss:
			continue
		}
		select {
		case queue <- held{append([]byte(nil), buf[:n]...), time.Now().Add(delay)}:
		default:
		}
	}
}
