package proxy

import "testing"

func TestMethodParam(t *testing.T) {
	for query, refused := range map[string]bool{
		"": false, "a=1&method=x": false, "x_method=1": false, "a=_method": false, "_methods=x": false, "_method[x]=1": false,
		"_method=DELETE": true, "a=1&_METHOD=put": true, "%5fmethod=x": true, "a=1;_method=x": true, "_method": true, ".method=x": true,
		"%20_method=x": true, "+_method=x": true, "_method%00x=1": true, "[method=x": true,
	} {
		if err := checkMethodParam(query); (err != nil) != refused {
			t.Errorf("?%s: %v, expected a refusal: %v", query, err, refused)
		}
	}
}
