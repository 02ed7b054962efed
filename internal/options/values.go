package options

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// value parses one option's text into the field it points to.
type value interface {
	Set(text string) error
}

type textValue struct{ p *string }

func text(p *string) value { return &textValue{p} }

func (v *textValue) Set(s string) error {
	*v.p = s
	return nil
}

type boolValue struct{ p *bool }

func (v *boolValue) Set(s string) error {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1":
		*v.p = true
	case "false", "no", "off", "0":
		*v.p = false
	default:
		return fmt.Errorf("%q is neither true nor false", s)
	}
	return nil
}

type countValue struct{ p *int }

func (v *countValue) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return fmt.Errorf("%q is not a count of at least 1", s)
	}
	*v.p = n
	return nil
}

type durationValue struct{ p *time.Duration }

func (v *durationValue) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration such as 500ms, 10s or 2m", s)
	}
	*v.p = d
	return nil
}

type levelValue struct{ p *slog.Level }

func (v *levelValue) Set(s string) error {
	if err := v.p.UnmarshalText([]byte(s)); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn, error", s)
	}
	return nil
}

type addrValue struct{ p *netip.Addr }

func (v *addrValue) Set(s string) error {
	if s == "" {
		*v.p = netip.Addr{}
		return nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return fmt.Errorf("%q is not an IP address", s)
	}
	*v.p = a
	return nil
}

type networksValue struct{ p *[]netip.Prefix }

func (v *networksValue) Set(s string) error {
	var list []netip.Prefix
	for field := range strings.SplitSeq(s, ",") {
		field = strings.TrimSpace(field)
		if field == "" {
			continue
		}
		p, err := netip.ParsePrefix(field)
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.1.0.0/16", field)
		}
		list = append(list, p.Masked())
	}
	*v.p = list
	return nil
}

// PortRange is the ports Low to High, both included; both 0 means that the kernel chooses.
type PortRange struct{ Low, High uint16 }

type portsValue struct{ p *PortRange }

func (v *portsValue) Set(s string) error {
	low, high, isRange := strings.Cut(s, "-")
	if !isRange {
		high = low
	}
	l, err1 := strconv.ParseUint(strings.TrimSpace(low), 10, 16)
	h, err2 := strconv.ParseUint(strings.TrimSpace(high), 10, 16)
	if err1 != nil || err2 != nil || l > h || (isRange && l == 0) {
		return fmt.Errorf("%q is neither a port nor a range such as 7400-7420", s)
	}
	*v.p = PortRange{uint16(l), uint16(h)}
	return nil
}

type sizeValue struct{ p *int64 }

func (v *sizeValue) Set(s string) error {
	n, err := ParseSize(s)
	if err != nil {
		return err
	}
	*v.p = n
	return nil
}

var errSize = errors.New("is not a size such as 65536, 64k, 256m or 1g")

// ParseSize reads a size in bytes, or in KiB, MiB, GiB or TiB by the suffix k, m, g or t (also kb, mb, ...), as Spark does.
func ParseSize(s string) (int64, error) {
	number := strings.ToLower(strings.TrimSpace(s))
	if trimmed := strings.TrimSuffix(number, "b"); trimmed != number && trimmed != "" {
		number = trimmed
	}
	shift := 0
	if number != "" {
		if i := strings.IndexByte("kmgt", number[len(number)-1]); i >= 0 {
			shift = 10 * (i + 1)
			number = number[:len(number)-1]
		}
	}
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q %w", s, errSize)
	}
	return int64(n) << shift, nil
}

// FormatSize writes n with the largest suffix that loses nothing; ParseSize reads it back.
func FormatSize(n int64) string {
	suffix := ""
	for _, s := range []string{"k", "m", "g", "t"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, suffix = n/1024, s
	}
	return strconv.FormatInt(n, 10) + suffix
}
