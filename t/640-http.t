# HTTP as such: bodies in chunks, requests in one write, HTTP/2, gzip, HEAD and
# OPTIONS on every route, what smugglers and broken clients send.

use lib 't/lib';
use MCHost::Test;

my $h2 = free_port();
my $t = MCHost::Test->new(nginx => { HTTP => 'gzip on; gzip_types application/json application/problem+json; gzip_min_length 0; client_header_timeout 2s;',
        SERVER => "listen 127.0.0.1:$h2 http2;", API => 'client_body_timeout 2s;' });
my $acme = $t->tenant('acme');
my $js = JSON::PP->new->utf8->canonical;
my $auth = "Authorization: Bearer $acme->{key}";

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }
sub raw { my ($bytes, $n) = @_; my $c = MCHost::Http->connect($t->port); $c->write($bytes); return map { $c->receive } 1 .. $n // 1 }

my $d = $t->server($acme, 'main');
my $path = "/servers/$d->{id}";
my $addon = { name => 'map', kind => 'Plugin', source => { modrinth => { project => 'map' } } };
my %body = ('/servers' => { name => 'x', spec => $t->spec }, $path => { name => 'main', spec => $t->spec }, "$path/console" => { command => 'list' },
    "$path/addons" => $addon, '/messages' => { servers => ['*'], topic => 'x', data => 1 });

subtest 'a body in chunks' => sub {
    my $json = $js->encode({ name => 'chunked', spec => $t->spec });
    my $c = MCHost::Http->connect($t->port);
    $c->{method} = 'POST';
    $c->write("POST /api/v1/servers HTTP/1.1\r\nHost: x\r\n$auth\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nIdempotency-Key: chunks\r\n\r\n");
    $c->write(sprintf "%x;ext=1\r\n%s\r\n", length, $_) for unpack '(A7)*', $json =~ s/ //gr;
    $c->write("0\r\nTrailer: x\r\n\r\n");
    my $r = $c->receive;
    is($r->status, 201, 'is a body') or diag $r->body;
    my $again = api(POST => '/servers', body => $json =~ s/ //gr, headers => { 'Idempotency-Key' => 'chunks' });
    is($again->json->{id}, $r->json->{id}, 'the same as one with a length');
};

subtest 'requests in one write' => sub {
    my @r = raw(join('', map({ MCHost::Http::format(@$_) } [ GET => '/api/v1/me', undef, { Authorization => "Bearer $acme->{key}" } ],
                [ POST => "/api/v1/servers", { name => 'piped', spec => $t->spec }, { Authorization => "Bearer $acme->{key}" } ],
                [ GET => '/api/v1/nothing', undef, {} ], [ POST => "/api/v1$path/actions/stop", undef, { Authorization => "Bearer $acme->{key}" } ],
                [ GET => "/api/v1$path/players", undef, { Authorization => "Bearer $acme->{key}" } ], [ DELETE => "/api/v1$path/addons/none", undef, { Authorization => "Bearer $acme->{key}" } ],
                [ GET => '/api/v1/servers?q=piped', undef, { Authorization => "Bearer $acme->{key}" } ])), 7);
    is(join(' ', map { $_->status } @r), '200 201 404 202 200 404 200', 'are answered in order');
    is($r[6]->json->{items}[0]{name}, 'piped', 'and have happened in order');
};

subtest 'a body where none is expected' => sub {
    my @r = raw(MCHost::Http::format(POST => "/api/v1$path/actions/start", '{"a":1}', { Authorization => "Bearer $acme->{key}" })
            . MCHost::Http::format(GET => '/api/v1/me', undef, { Authorization => "Bearer $acme->{key}" }), 2);
    is(join(' ', map { $_->status } @r), '202 200', 'is not the next request');
};

subtest 'HEAD and OPTIONS' => sub {
    my %allow = ('/servers' => 'GET, HEAD, POST', $path => 'GET, HEAD, PUT, PATCH, DELETE', "$path/actions/start" => 'POST', "$path/console" => 'POST', "$path/logs" => 'GET, HEAD',
        "$path/metrics" => 'GET, HEAD', "$path/players" => 'GET, HEAD', "$path/players/x/op" => 'POST, DELETE', "$path/players/x/kick" => 'POST', "$path/addons" => 'GET, HEAD, POST',
        "$path/addons/x" => 'GET, HEAD, DELETE', "$path/backups" => 'GET, HEAD, POST', "$path/backups/" . uuid7() => 'GET, HEAD, DELETE', "$path/backups/" . uuid7() . '/restore' => 'POST',
        "$path/operations/" . uuid7() => 'GET, HEAD', '/events' => 'GET, HEAD', '/audit' => 'GET, HEAD', '/messages' => 'POST', '/me' => 'GET, HEAD');
    for my $p (sort keys %allow) {
        my $name = $p =~ s/[0-9a-f-]{36}/{id}/gr;
        my $o = api(OPTIONS => $p);
        is($o->status, 204, "OPTIONS $name");
        is(join(', ', sort split /, /, $o->header('Allow')), join(', ', sort split /, /, "$allow{$p}, OPTIONS"), 'Allow');
        next unless $allow{$p} =~ /HEAD/;
        my ($get, $head) = map { api($_ => $p) } qw(GET HEAD);
        is($head->status, $get->status, "HEAD $name");
        is($head->body, '', 'no body');
        is($head->header($_), $get->header($_), "the same $_") for qw(Content-Type ETag);
    }
};

subtest 'gzip and tags' => sub {
    my $r = api(GET => $path, headers => { 'Accept-Encoding' => 'gzip' });
    is($r->header('Content-Encoding'), 'gzip', 'compressed');
    like($r->header('ETag'), qr{^W/"\d+"$}, 'a weak tag');
    is(api(GET => $path, headers => { 'If-None-Match' => $r->header('ETag') })->status, 304, 'counts for a 304');
    is(api(PATCH => $path, body => { spec => { displayName => 'z' } }, headers => { 'If-Match' => $r->header('ETag') })->status, 200, 'and for a change');
};

subtest 'HTTP/2' => sub {
    my $curl = sub { my $out = qx(curl -s --max-time 10 --http2-prior-knowledge -H '$auth' -w ' %{http_version} %{http_code}' @_ 2>&1); return $out };
    like($curl->("http://127.0.0.1:$h2/api/v1/me"), qr/"tenant".* 2 200$/s, 'read');
    my $json = $js->encode({ name => 'two', spec => $t->spec });
    like($curl->("-H 'Content-Type: application/json' -H 'Idempotency-Key: h2' -d '$json' http://127.0.0.1:$h2/api/v1/servers"), qr/"name" ?: ?"two".* 2 201$/s, 'create');
    like($curl->("-H 'Content-Type: application/json' -H 'Idempotency-Key: h2' -d '$json' http://127.0.0.1:$h2/api/v1/servers"), qr/"name" ?: ?"two".* 2 201$/s, 'replay');
    like($curl->("-X DELETE http://127.0.0.1:$h2/api/v1$path/addons/none"), qr/not-found.* 2 404$/s, 'problem');
    like($curl->("-I http://127.0.0.1:$h2/api/v1$path"), qr/ 2 200$/, 'HEAD');
};

subtest 'broken JSON on every route that takes some' => sub {
    my %bad = ('1e400' => '{"a":1e400}', NaN => '{"a":NaN}', 'a lone surrogate' => '{"a":"\ud800"}', NUL => '{"a":"\u0000"}', overlong => "{\"a\":\"\xc0\x80\"}", 'no UTF-8' => "{\"a\":\"\xff\"}",
        'twice the same key' => '{"a":1,"a":2}', 'deep nesting' => '{"a":' . '[' x 100 . ']' x 100 . '}', 'no end' => '{"a":', 'two values' => '{}{}', nothing => '', 'an array' => '[]', 'null' => 'null', 'a text' => '"x"',
        'a long text' => '{"a":"' . 'x' x 1_000_000 . '"}', 'too long a text' => '{"a":"' . 'x' x 1_100_000 . '"}');
    for my $p (sort keys %body) {
        my $method = $p eq $path ? 'PUT' : 'POST';
        for my $what (sort keys %bad) {
            my $r = api($method => $p, body => $bad{$what}, headers => { 'If-Match' => '*', 'Content-Type' => 'application/json' });
            like($r->status, qr/^(400|413|422)$/, "$method " . $p =~ s/\Q$d->{id}\E/{id}/r . ": $what") or diag substr $r->body, 0, 300;
            like($r->header('Content-Type') // '', qr{^application/problem\+json}, 'a problem');
        }
        is(api($method => $p, body => 'a=1', headers => { 'If-Match' => '*', 'Content-Type' => 'application/x-www-form-urlencoded' })->status, 415, "$method form");
    }
    is(api(GET => '/me')->status, 200, 'it lives');
};

subtest 'smugglers' => sub {
    my $get = "GET /api/v1/me HTTP/1.1\r\nHost: x\r\n\r\n";
    my %bad = ('both lengths' => "Content-Length: 4\r\nTransfer-Encoding: chunked", 'two lengths' => "Content-Length: 4\r\nContent-Length: 5", 'a negative length' => 'Content-Length: -1',
        'a strange encoding' => 'Transfer-Encoding: chunked, identity', 'a length of words' => 'Content-Length: 0x4');
    for my $what (sort keys %bad) {
        my $c = MCHost::Http->connect($t->port);
        $c->{method} = 'POST';
        $c->write("POST /api/v1$path/actions/start HTTP/1.1\r\nHost: x\r\n$auth\r\n$bad{$what}\r\n\r\n0\r\n\r\n$get");
        my $r = $c->receive;
        like($r->status, qr/^(400|501)$/, $what);
        is($c->receive, undef, 'and nothing after it');
    }
    my ($r) = raw("GET /api/v1/me HTTP/1.1\r\nHost: x\r\n$auth\r\n" . join('', map { "X-$_: " . 'y' x 4000 . "\r\n" } 1 .. 20) . "\r\n");
    like($r->status, qr/^4(00|14|31)$/, 'large headers');
    my $c = MCHost::Http->connect($t->port);
    $c->{method} = 'POST';
    $c->write("POST /api/v1/servers HTTP/1.1\r\nHost: x\r\n$auth\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{");
    my $slow = eval { $c->receive->status } // 'closed';
    like($slow, qr/^(408|closed)$/, 'a body that does not come');
};

subtest 'request ids and places' => sub {
    my $r = api(POST => "$path/addons", body => $addon, headers => { 'X-Request-Id' => 'made-1' });
    is($r->status, 201, 'made') or diag $r->body;
    is($r->header('X-Request-Id'), 'made-1', 'echoed');
    is(api(GET => '/' . $r->header('Location'))->status, 200, 'Location leads there');
    is($t->sql("SELECT request_id FROM audit WHERE action = 'server.addon.create'"), 'made-1', 'in the audit');
    $r = api(POST => "$path/actions/stop");
    is(api(GET => '/' . $r->header('Location'))->json->{id}, $r->json->{id}, "an operation's too");
};

done_testing;
