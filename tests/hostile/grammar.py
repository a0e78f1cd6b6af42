"""What has no grammar of RFC 8259: brackets, commas, colons, quotes, literals, more or less than one document."""

# One payload a line.
_BROKEN = rb"""
{
}
[
]
{{
}{
{]
[}
,
:
"
'
\
"k
k
...
nul
tru
fals
True
NULL
undefined
{"type"
{"type":
{"type":"k
{"type":"k"
{"type":"k",
{"type":"k","values"
{"type":"k","values":
{"type":"k","values":{
{"type":"k","values":[
{"type":"k","values":{"a
{"type":"k","values":{"a":1
{"type":"k","values":["a",
{"type":"k","values":{}
{"type":"k","values":{}]
{"type":"k","values":{}}}
{"type":"k","values":[]]}
{"type":"k","values":[}
{"type":"k","values":{]}
{"type":"k","values":[1}}
{"type":"k","values":{"a":1]}
{"type":"k","values":[{]}]}
{"type":"k","values":{{}}}
{"type":"k","values":{},}
{,"type":"k","values":{}}
{"type":"k",,"values":{}}
{"type":"k";"values":{}}
{"type":"k" "values":{}}
{"type":"k""values":{}}
{"type" "k","values":{}}
{"type"="k","values":{}}
{"type"=>"k","values":{}}
{"type"::"k","values":{}}
{"type":"k":"values":{}}
{"type":,"values":{}}
{:"k","values":{}}
{"type":"k","values":}
{"type":"k","values":,}
{"type":"k","values":{},"x"}
{"type":"k","values":{},"x":}
{"type":"k","values":{},"x":,"y":1}
{"type":"k","values":{},"x":1,"y"}
{"type":"k","values":{},x:1}
{"type":"k","values":{},1:1}
{"type":"k","values":{},null}
{"type":"k","values":{},[]}
{"type":"k","values":{},"x":@}
{type:"k",values:{}}
{'type':'k','values':{}}
{`type`:`k`,`values`:{}}
{"type":'k',"values":{}}
{"type":k,"values":{}}
{"type":"k"+"k","values":{}}
{"type":"k" "k","values":{}}
{"type":("k"),"values":{}}
{"type":"k","values":()}
{"type":"k","values":<>}
("type":"k","values":{})
["type":"k","values":{}]
{"type":"k","values":{}} {}
{"type":"k","values":{}}{"type":"k","values":{}}
{"type":"k","values":{}},{"type":"k","values":{}}
{"type":"k","values":{}},
{"type":"k","values":{}};
{"type":"k","values":{}}:
{"type":"k","values":{}}"
{"type":"k","values":{}}x
{"type":"k","values":{}}0
{"type":"k","values":{}} null
{"type":"k","values":{}}\n
{"type":"k","values":{}}#
{"type":"k","values":{}}//
{"type":"k","values":{}}/* */
/* */{"type":"k","values":{}}
//{"type":"k","values":{}}
#{"type":"k","values":{}}
x{"type":"k","values":{}}
0{"type":"k","values":{}}
null{"type":"k","values":{}}
,{"type":"k","values":{}}
"{"type":"k","values":{}}"
({"type":"k","values":{}})
on({"type":"k","values":{}});
for(;;);{"type":"k","values":{}}
)]}',{"type":"k","values":{}}
data: {"type":"k","values":{}}
$6 {"type":"k","values":{}}
{"type":"k",/* */"values":{}}
{"type"/**/:"k","values":{}}
<update type="k"><values/></update>
<?xml version="1.0"?>
type=k&values=%7B%7D
type: k
- type: k
[type]
GET / HTTP/1.1
*1
""".split(b"\n")[1:-1]

# Each is the only element of `values`.
_ELEMENTS = rb"""
,
,,
1,
,1
1,,2
1 2
1;2
1:2
"a":1
"a" "b"
"a""b"
"a",
'a'
'a"
"a'
a
[
{
[1,]
[,]
{"a"}
{"a",1}
{"a":}
{"a":1,}
{,"a":1}
{"a":1,,"b":2}
{"a":1 "b":2}
{"a":1;"b":2}
{"a":1:2}
{"a"::1}
{:1}
{a:1}
{'a':1}
{1:1}
{null:1}
{[]:1}
{1}
{[]}
{"a":1,"b"}
{"a" "b":1}
True
FALSE
None
nil
nulll
tru
truefalse
true false
true,fals
t
undefined
void
...
*
&a
!
@
<!-- -->
1/**/
//
#
--
""".split(b"\n")[1:-1]
UNDECODABLE = [
    *_BROKEN,
    *(b'{"type":"k","values":[' + element + b"]}" for element in _ELEMENTS),
    b'---\n{"type":"k","values":{}}\n...\n',
    b'{"type":"k","values":{}}\n{"type":"k","values":{}}\n',
    b'\x1e{"type":"k","values":{}}\n',
    b"*2\r\n$4\r\nPING\r\n$1\r\nk\r\n",
    b'{"type":"k","values":{}}\r\n*1\r\n$8\r\nFLUSHALL\r\n',
]
