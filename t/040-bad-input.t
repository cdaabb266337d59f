# Bad input: the contract's answer, nothing written, the worker alive.

use lib 't/lib';
use MCHost::Test;
use JSON::PP ();

my $t = MCHost::Test->new(nginx => { API => 'client_max_body_size 1m;' });
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'victim')->{id};
my @worker = $t->nginx->workers;
my $spec = '{"software":{"type":"demo","version":"1.20.4"}}';

sub api { my ($method, $path, %o) = @_; return $t->api($method, $path, key => $acme->{key}, %o) }

sub post { my ($body, %o) = @_; return api(POST => '/servers', body => $body, %o) }

# A refusal with the status, as a problem document.
sub refused {
    my ($r, $status, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    subtest $name => sub {
        ref $status ? like($r->status, $status, 'status') : is($r->status, $status, 'status') or diag substr $r->body, 0, 300;
        like($r->header('Content-Type') // '', qr{^application/problem\+json}, 'a problem document');
        my $d = $r->json // {};
        is($d->{status}, $r->status, 'with the status');
        ok(length($d->{title} // '') && length($d->{type} // ''), 'type and title');
        ok(length($d->{requestId} // ''), 'the request id');
        unlike($r->body, qr/SELECT|INSERT|pg_|libpq|yajl|\.c:\d/i, 'and nothing of the inside');
    };
}

subtest 'JSON that is none' => sub {
    my %bad = (
        'empty'                  => '',
        'blanks'                 => "  \n ",
        'cut off'                => '{"name":"x","spec":',
        'trailing garbage'       => qq({"name":"x","spec":$spec} x),
        'two documents'          => qq({"name":"x","spec":$spec}{}),
        'trailing comma'         => qq({"name":"x","spec":$spec,}),
        'single quotes'          => "{'name':'x'}",
        'a comment'              => qq({"name":"x",/* */"spec":$spec}),
        'NaN'                    => '{"name":"x","spec":{"resources":{"cpu":NaN}}}',
        'leading zero'           => '{"name":"x","spec":{"jvm":{"heapPercent":075}}}',
        'a huge exponent'        => '{"name":"x","spec":{"jvm":{"heapPercent":1e999}}}',
        'a NUL byte'             => qq({"name":"x\0y","spec":$spec}),
        'an escaped NUL'         => qq({"name":"x","spec":{"displayName":"a\\u0000b","software":{"type":"demo","version":"1.20.4"}}}),
        'a control character'    => qq({"name":"x\ny","spec":$spec}),
        'a lone surrogate'       => qq({"name":"x","spec":{"displayName":"\\ud800","software":{"type":"demo","version":"1.20.4"}}}),
        'surrogates swapped'     => qq({"name":"x","spec":{"displayName":"\\udc00\\ud800","software":{"type":"demo","version":"1.20.4"}}}),
        'broken UTF-8'           => qq({"name":"x","spec":{"displayName":"\xff\xfe","software":{"type":"demo","version":"1.20.4"}}}),
        'overlong UTF-8'         => qq({"name":"x","spec":{"displayName":"\xc0\x80","software":{"type":"demo","version":"1.20.4"}}}),
        'surrogates in UTF-8'    => qq({"name":"x","spec":{"displayName":"\xed\xa0\x80","software":{"type":"demo","version":"1.20.4"}}}),
        'UTF-8 cut off'          => qq({"name":"x","spec":{"displayName":"\xe2\x82","software":{"type":"demo","version":"1.20.4"}}}),
        'UTF-16'                 => "\xff\xfe{\0}\0",
        'a byte-order mark'      => "\xef\xbb\xbf{",
        'duplicate keys'         => qq({"name":"x","name":"y","spec":$spec}),
        'duplicate keys below'   => '{"name":"x","spec":{"software":{"type":"demo","type":"paper","version":"1"}}}',
        'duplicates by escape'   => qq({"name":"x","n\\u0061me":"y","spec":$spec}),
        '33 levels'              => '{"name":"x","spec":' . '{"a":' x 33 . '1' . '}' x 33 . '}',
        'a hundred thousand ['   => '[' x 100_000,
        'a hundred thousand {'   => '{"a":' x 100_000,
    );

    refused(post($bad{$_}), 400, $_) for sort keys %bad;
};

subtest 'JSON that is no server' => sub {
    refused(post($_->[1]), qr/^4(00|22)$/, $_->[0]) for [ 'a number', '1' ], [ 'a string', '"x"' ], [ 'null', 'null' ], [ 'a list', '[]' ], [ 'true', 'true' ];
    refused(post('{}'), 422, 'an empty object');
    refused(post('{"name":1,"spec":1}'), 422, 'wrong types');
    refused(post('{"name":null,"spec":null}'), 422, 'nulls');
};

subtest 'all errors at once, with pointers' => sub {
    my $r = post({ name => 'Bad Name', colour => 'red', spec => { software => { type => 'bedrock' }, runPolicy => 'Sometimes',
            properties => { maxPlayers => 'many', motd => 5, difficulty => 'impossible' }, jvm => { heapPercent => 500 }, unknown => 1, 'a/b~c' => 1 } });
    refused($r, 422, 'a bad server');
    my %got = map { $_->{pointer} => $_ } @{ $r->json->{errors} };
    for my $p ('/name', '/colour', '/spec/software/type', '/spec/runPolicy', '/spec/properties/maxPlayers', '/spec/properties/motd',
        '/spec/properties/difficulty', '/spec/jvm/heapPercent', '/spec/unknown', '/spec/a~1b~0c')
    {
        ok($got{$p}, "names $p") or diag join ' ', sort keys %got;
        ok(length($got{$p}{code} // '') && length($got{$p}{message} // ''), '… with code and message');
    }
};

subtest 'reserved properties' => sub {
    for my $name (qw(server-port rcon.port rcon.password enable-rcon query.port enable-query management-server-port management-server-secret)) {
        my $r = post({ name => 'x', spec => { software => { type => 'demo', version => '1.20.4' }, properties => { extra => { $name => '1' } } } });
        refused($r, 422, $name);
    }
    for my $v ("a\nrcon.password=x", "a\rb") {
        my $r = post({ name => 'x', spec => { software => { type => 'demo', version => '1.20.4' }, properties => { motd => $v } } });
        like($r->status, qr/^(422|201)$/, 'a line break in a property is refused or escaped later');
        api(DELETE => '/servers/' . $r->json->{id}) if $r->status == 201;
    }
};

subtest 'numbers at their limits' => sub {
    for my $n ('9223372036854775807', '-9223372036854775808', '9223372036854775808', '1.5', '1e3', '-0', '123456789012345678901234567890') {
        my $r = post(qq({"name":"limits","spec":{"software":{"type":"demo","version":"1.20.4"},"properties":{"maxPlayers":$n}}}));
        like($r->status, qr/^(400|422|201)$/, "maxPlayers $n") or diag $r->body;
        api(DELETE => '/servers/' . $r->json->{id}) if $r->status == 201;
    }
};

subtest 'sizes' => sub {
    my $big = '{"name":"x","spec":{"displayName":"' . 'x' x 10_000_000 . '"}}';
    my $c = $t->api_begin(POST => '/servers', key => $acme->{key}, body => $big);
    refused($c->receive, 413, '10 MB');

    $c = MCHost::Http->connect($t->port);
    $c->send(POST => '/api/v1/servers', undef, { Authorization => "Bearer $acme->{key}", 'Content-Type' => 'application/json', 'Content-Length' => 10_000_000 });
    refused($c->receive, 413, '10 MB announced: refused before it is sent');

    my $fit = qq({"name":"fits","spec":{"software":{"type":"demo","version":"1.20.4"}}) . ' ' x 200_000 . '}';
    is(post($fit)->status, 201, '200 kB of blanks fit');
    refused(post({ name => 'x', spec => { software => { type => 'demo', version => '1.20.4' }, displayName => 'x' x 5000 } }), 422, 'a long name');
    like(api(GET => '/servers/' . 'a' x 3000)->status, qr/^(404|414)$/, 'a long path');
    like(api(GET => '/servers?after=' . 'a' x 3000)->status, qr/^(400|414|422)$/, 'a long query');
};

subtest 'content types' => sub {
    my $body = qq({"name":"types","spec":$spec});
    refused(post($body, headers => { 'Content-Type' => $_ // undef }), 415, $_ // 'none')
        for 'text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'application/jsonp', undef;
    is(post($body, headers => { 'Content-Type' => 'application/json; charset=utf-8' })->status, 201, 'with a charset');
    is(post(qq({"name":"types2","spec":$spec}), headers => { 'Content-Type' => 'Application/JSON' })->status, 201, 'any case');
    refused(api(PATCH => "/servers/$id", body => '{}', headers => { 'Content-Type' => 'text/plain', 'If-Match' => '"1"' }), 415, 'PATCH of text');
};

subtest 'methods' => sub {
    my %allow = ('/servers' => [qw(GET POST)], "/servers/$id" => [qw(GET PUT PATCH DELETE)], "/servers/$id/actions/start" => ['POST'],
        "/servers/$id/console" => ['POST'], '/me' => ['GET']);

    for my $path (sort keys %allow) {
        my %ok = map { $_ => 1 } @{ $allow{$path} };
        for my $method (qw(GET POST PUT PATCH DELETE)) {
            next if $ok{$method};
            my $r = api($method => $path, body => $method eq 'GET' ? undef : '{}');
            refused($r, 405, "$method " . $path =~ s/\Q$id\E/{id}/r);
            my %got = map { $_ => 1 } split /,\s*/, $r->header('Allow') // '';
            ok($got{$_}, "Allow has $_") for @{ $allow{$path} };
        }
    }
    refused(api(GET => $_), 404, "GET $_") for '/', '/nothing', '/servers/', "/servers/$id/", "/servers/$id/nothing", '/me/x';
    is(api(GET => '///api/v1//servers')->status, 200, 'nginx merges slashes');
    like(api(GET => '/servers/%00')->status, qr/^40[04]$/, 'NUL in the path');
    like(api(GET => "/servers/$id%2factions")->status, qr/^404$/, 'an escaped slash');
    like(api(TRACE => '/me')->status, qr/^405$/, 'TRACE');
    like(api(FOO => '/me')->status, qr/^405$/, 'FOO');
};

subtest 'chunked bodies' => sub {
    my $send = sub {
        my (@pieces) = @_;
        my $c = MCHost::Http->connect($t->port);
        $c->send(POST => '/api/v1/servers', undef, { Authorization => "Bearer $acme->{key}", 'Content-Type' => 'application/json', 'Transfer-Encoding' => 'chunked' });
        $c->write($_) for @pieces;
        return $c->receive;
    };
    my $chunk = sub { sprintf "%x\r\n%s\r\n", length $_[0], $_[0] };
    my $body = qq({"name":"chunks","spec":$spec});
    is($send->(map({ $chunk->($_) } split //, $body), "0\r\n\r\n")->status, 201, 'a byte a chunk');
    my $r = $send->(map({ $chunk->('x' x 65536) } 1 .. 40), "0\r\n\r\n");
    is($r ? $r->status : 0, 413, '2.6 MB in chunks') if 1;
    is($send->("zz\r\n")->status, 400, 'a chunk size that is none');
    my $c = MCHost::Http->connect($t->port);
    $c->send(POST => '/api/v1/servers', undef, { Authorization => "Bearer $acme->{key}", 'Content-Type' => 'application/json', 'Content-Length' => 100 });
    $c->write('{"name":');
    $c->close;
    pass('a client that leaves in the middle');
};

subtest 'bodies in pieces' => sub {
    my $body = qq({"name":"pieces","spec":$spec});
    my $text = MCHost::Http::format(POST => '/api/v1/servers', $body, { Authorization => "Bearer $acme->{key}" });
    my $c = MCHost::Http->connect($t->port);
    $c->write($_) for split //, $text;
    is($c->receive->status, 201, 'a request byte by byte');

    $c = MCHost::Http->connect($t->port);
    my $get = MCHost::Http::format(GET => '/api/v1/me', undef, { Authorization => "Bearer $acme->{key}" });
    $c->write($get x 5);
    is(join(' ', map { $c->receive->status } 1 .. 5), '200 200 200 200 200', 'five requests in one write');

    # a body where none is read must not be taken for the next request
    $c = MCHost::Http->connect($t->port);
    $c->write(MCHost::Http::format(GET => '/api/v1/me', 'DELETE /x HTTP/1.1', { Authorization => "Bearer $acme->{key}" }) . $get);
    my @got = map { my $r = eval { $c->receive(timeout => 5) }; $r ? $r->status : 0 } 1 .. 2;
    like($got[0], qr/^(200|400)$/, 'a GET with a body');
    like($got[1], qr/^(200|0)$/, 'and the request behind it');
};

subtest 'console commands' => sub {
    my $say = sub { api(POST => "/servers/$id/console", body => $_[0]) };
    refused($say->({}), 422, 'no command');
    refused($say->({ command => '' }), 422, 'an empty command');
    refused($say->({ command => 5 }), 422, 'a number');
    refused($say->({ command => "say a\nstop" }), 422, 'two lines');
    refused($say->({ command => 'x' x 5000 }), 422, 'a long command');
    refused($say->({ command => 'list', as => 'root' }), 422, 'an unknown field');
};

subtest 'nothing was written' => sub {
    my $names = $t->sql("SELECT string_agg(name, ' ' ORDER BY name) FROM servers WHERE deleted_at IS NULL");
    is($names, 'chunks fits pieces types types2 victim', 'only what was right');
    is($t->sql("SELECT count(*) FROM audit WHERE action = 'server.create'"), $t->sql('SELECT count(*) FROM servers'), 'an audit row each');
    is($t->sql('SELECT servers FROM tenant_usage'), '6', 'quota counted right');
    is_deeply([ $t->nginx->workers ], \@worker, 'the same worker');
    is(api(GET => "/servers/$id")->json->{generation}, 1, 'the victim is untouched');
};

done_testing;
