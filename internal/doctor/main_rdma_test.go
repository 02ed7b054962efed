//go:build rdma

package doctor

import (
	"testing"

	"weft/verbs/verbstest"
)

func TestMain(m *testing.M) { verbstest.Main(m) }
