package parquet

import (
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/schema"
)

// writeFile writes a table, its rows as one row group.
func writeFile[R any](name string, rows []R) (err error) {
	cs := columns(reflect.TypeFor[R](), "", nil)
	var fields schema.FieldList
	for _, c := range cs {
		n, err := c.node()
		if err != nil {
			return err
		}
		fields = append(fields, n)
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := file.NewParquetWriter(f, root, file.WithWriterProps(parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Snappy))))
	defer func() { err = errors.Join(err, w.Close()) }() // closes f, too
	if len(rows) == 0 {
		return nil
	}
	group, err := w.AppendRowGroupChecked()
	if err != nil {
		return err
	}
	values := reflect.ValueOf(rows)
	for _, c := range cs {
		cw, err := group.NextColumn()
		if err != nil {
			return err
		}
		for i := range values.Len() {
			if err := c.write(cw, values.Index(i).FieldByIndex(c.index)); err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
		}
		if err := cw.Close(); err != nil {
			return err
		}
	}
	return group.Close()
}

func (c column) write(w file.ColumnChunkWriter, v reflect.Value) (err error) {
	switch w := w.(type) {
	case *file.ByteArrayColumnChunkWriter:
		b, err := c.bytes(v)
		if err != nil {
			return err
		}
		_, err = w.WriteBatch([]parquet.ByteArray{b}, nil, nil)
		return err
	case *file.Int64ColumnChunkWriter:
		_, err = w.WriteBatch([]int64{c.integer(v)}, nil, nil)
	case *file.Float64ColumnChunkWriter:
		switch {
		case c.kind == number:
			_, err = w.WriteBatch([]float64{v.Float()}, nil, nil)
		case v.IsNil():
			_, err = w.WriteBatch(nil, absent, nil)
		default:
			_, err = w.WriteBatch([]float64{v.Elem().Float()}, present, nil)
		}
	}
	return err
}

// readFile reads a table that writeFile wrote.
func readFile[R any](name string) (rows []R, err error) {
	f, err := file.OpenParquetFile(name, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	cs := columns(reflect.TypeFor[R](), "", nil)
	for g := range f.NumRowGroups() {
		group, first := f.RowGroup(g), len(rows)
		rows = append(rows, make([]R, group.NumRows())...)
		for _, c := range cs {
			i := f.MetaData().Schema.ColumnIndexByName(c.name)
			if i < 0 {
				return nil, fmt.Errorf("%s has no column %s", name, c.name)
			}
			r, err := group.Column(i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			for values := reflect.ValueOf(rows[first:]); values.Len() > 0; values = values.Slice(1, values.Len()) {
				if err := c.read(r, values.Index(0).FieldByIndex(c.index)); err != nil {
					return nil, fmt.Errorf("%s: column %s: %w", name, c.name, err)
				}
			}
		}
	}
	return rows, nil
}

func (c column) read(r file.ColumnChunkReader, v reflect.Value) error {
	var level [1]int16
	var err error
	var rows int64
	var n int
	switch r := r.(type) {
	case *file.ByteArrayColumnChunkReader:
		var b [1]parquet.ByteArray
		if rows, n, err = r.ReadBatch(1, b[:], level[:], nil); n == 1 {
			return c.setBytes(v, b[0])
		}
	case *file.Int64ColumnChunkReader:
		var x [1]int64
		if rows, n, err = r.ReadBatch(1, x[:], level[:], nil); n == 1 {
			c.setInteger(v, x[0])
		}
	case *file.Float64ColumnChunkReader:
		var x [1]float64
		rows, n, err = r.ReadBatch(1, x[:], level[:], nil)
		switch {
		case n == 1 && c.kind == number:
			v.SetFloat(x[0])
		case n == 1:
			v.Set(reflect.ValueOf(&x[0]))
		}
	default:
		return errors.New("is of another type than weft writes")
	}
	if err == nil && (rows != 1 || n != 1 && c.kind != maybe) {
		err = errors.New("ends too early")
	}
	return err
}
