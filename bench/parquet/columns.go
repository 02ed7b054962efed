package parquet

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// column is a field of a row type: what it is called in the file, and where it is in the row.
type column struct {
	name  string
	index []int
	kind  reflect.Type
}

var (
	text    = reflect.TypeFor[string]()
	whole   = reflect.TypeFor[int]()
	long    = reflect.TypeFor[int64]()
	number  = reflect.TypeFor[float64]()
	maybe   = reflect.TypeFor[*float64]()          // null where it is nil
	moment  = reflect.TypeFor[time.Time]()         // UTC, in microseconds
	pairs   = reflect.TypeFor[map[string]string]() // a JSON object
	present = []int16{1}                           // definition levels of one value
	absent  = []int16{0}
)

// columns of a row type: those of embedded structs as they are, those of other structs with the field's name before them, and no lists.
func columns(row reflect.Type, prefix string, index []int) []column {
	var cs []column
	for i := range row.NumField() {
		f := row.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := append(index[:len(index):len(index)], i)
		switch {
		case f.Type.Kind() == reflect.Slice:
		case f.Anonymous:
			cs = append(cs, columns(f.Type, prefix, at)...)
		case f.Type.Kind() == reflect.Struct && f.Type != moment:
			cs = append(cs, columns(f.Type, prefix+name+"_", at)...)
		default:
			cs = append(cs, column{prefix + name, at, f.Type})
		}
	}
	return cs
}

// node is the column in the file's schema.
func (c column) node() (schema.Node, error) {
	required := parquet.Repetitions.Required
	switch c.kind {
	case text:
		return schema.NewPrimitiveNodeLogical(c.name, required, schema.StringLogicalType{}, parquet.Types.ByteArray, 0, -1)
	case pairs:
		return schema.NewPrimitiveNodeLogical(c.name, required, schema.JSONLogicalType{}, parquet.Types.ByteArray, 0, -1)
	case moment:
		return schema.NewPrimitiveNodeLogical(c.name, required, schema.NewTimestampLogicalType(true, schema.TimeUnitMicros), parquet.Types.Int64, 0, -1)
	case whole, long:
		return schema.NewInt64Node(c.name, required, -1), nil
	case number:
		return schema.NewFloat64Node(c.name, required, -1), nil
	case maybe:
		return schema.NewFloat64Node(c.name, parquet.Repetitions.Optional, -1), nil
	}
	return nil, fmt.Errorf("column %s: no place for a %s in a table", c.name, c.kind)
}

// integer is what an int64 column has for the field.
func (c column) integer(v reflect.Value) int64 {
	if c.kind == moment {
		return v.Interface().(time.Time).UnixMicro()
	}
	return v.Int()
}

func (c column) setInteger(v reflect.Value, n int64) {
	if c.kind == moment {
		v.Set(reflect.ValueOf(time.UnixMicro(n).UTC()))
		return
	}
	v.SetInt(n)
}

// bytes is what a column of strings has for the field.
func (c column) bytes(v reflect.Value) ([]byte, error) {
	if c.kind == pairs {
		return json.Marshal(v.Interface())
	}
	return []byte(v.String()), nil
}

func (c column) setBytes(v reflect.Value, b []byte) error {
	if c.kind == pairs {
		return json.Unmarshal(b, v.Addr().Interface())
	}
	v.SetString(string(b))
	return nil
}
