# Tickets for sockets, and pages of other origins.

use lib 't/lib';
use MCHost::Test;

my $t = MCHost::Test->new(nginx => { API => 'mchost_cors https://panel.example https://other.example:8443;' });
my $red = $t->tenant('red');
$t->server($red, 'one');

sub ticket { return $t->api(POST => '/ws-tickets', key => $red->{key}, headers => { Origin => $_[0] }) }
sub ws { my ($ticket, $origin) = @_; return $t->ws(path => "/api/v1/ws?ticket=$ticket", headers => $origin ? { Origin => $origin } : {}, refused => 1) }

subtest 'tickets' => sub {
    my $origin = 'http://127.0.0.1';
    my $r = ticket($origin);
    is($r->status, 201, 'made') or diag $r->body;
    my $ticket = $r->json->{ticket};
    like($ticket, qr/^mct_/, 'a ticket');
    is($t->sql("SELECT count(*) FROM ws_tickets WHERE ticket_hash = '" . Digest::SHA::sha256_hex($ticket) . "'"), '1', 'only its hash is kept');
    my $ws = ws($ticket, $origin);
    ok($ws->open, 'opens a socket') or diag $ws->response->body;
    is(ws($ticket, $origin)->status, 401, 'once');
    is($t->sql('SELECT count(*) FROM ws_tickets'), '0', 'it is gone');

    is(ws(ticket($origin)->json->{ticket})->status, 401, 'not without its origin');
    my $late = ticket($origin)->json->{ticket};
    $t->sql("UPDATE ws_tickets SET expires_at = now() - interval '1 second'");
    is(ws($late, $origin)->status, 401, 'not after its time');
    is(ws((new_token(uuid7()))[0] =~ s/^mch/mct/r)->status, 401, 'nor one that nobody made');
    is(ws('%27%20OR%201=1')->status, 401, 'nor what is none');
    is($t->api(GET => '/me', headers => { Authorization => "Bearer $ticket" })->status, 401, 'it is no credential');

    my $k = $t->api(POST => '/keys', key => $red->{key}, body => { name => 'x' })->json;
    my $t2 = $t->api(POST => '/ws-tickets', key => $k->{secret})->json->{ticket};
    $t->api(DELETE => "/keys/$k->{id}", key => $red->{key});
    is(ws($t2)->status, 401, 'a ticket dies with its key');

    my $many = ticket($origin)->json->{ticket};
    my @c = map { my $c = MCHost::Http->connect($t->port); $c->send(GET => "/api/v1/ws?ticket=$many", undef, { Origin => $origin, Upgrade => 'websocket', Connection => 'Upgrade',
            'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' }); $c } 1 .. 8;
    is((grep { $_->receive->status == 101 } @c) + 0, 1, 'of many at once one opens');
    unlike(slurp("$t->{dir}/error.log"), qr/\Q$many\E.*mchost_postgres/, 'no ticket in what we log');
};

subtest 'other origins' => sub {
    my $o = 'https://panel.example';
    my $r = $t->api(OPTIONS => '/servers', headers => { Origin => $o, 'Access-Control-Request-Method' => 'POST' });
    is($r->status, 204, 'a preflight');
    is($r->header('Access-Control-Allow-Origin'), $o, 'allowed');
    like($r->header('Access-Control-Allow-Methods'), qr/GET, HEAD, POST/, 'methods');
    like($r->header('Access-Control-Allow-Headers'), qr/Authorization/, 'headers');
    is($r->header('Access-Control-Allow-Credentials'), undef, 'never with cookies');

    $r = $t->api(GET => '/servers', key => $red->{key}, headers => { Origin => $o });
    is($r->header('Access-Control-Allow-Origin'), $o, 'a reply');
    like($r->header('Vary'), qr/Origin/, 'varies');
    is($t->api(GET => '/servers', headers => { Origin => $o })->header('Access-Control-Allow-Origin'), $o, 'a problem too');
    is($t->api(GET => '/servers', key => $red->{key}, headers => { Origin => 'https://evil.example' })->header('Access-Control-Allow-Origin'), undef, 'not for others');
    is($t->api(OPTIONS => '/servers', headers => { Origin => 'https://panel.example.evil' })->header('Access-Control-Allow-Methods'), undef, 'nor for what begins like it');

    my $n = MCHost::Test->new(postgres => 0, redis => 0, nginx => { POSTGRES => 'mchost_postgres main { conninfo "host=/tmp"; } mchost_postgres platform { conninfo "host=/tmp"; }', API => 'mchost_cors example.org;' }, start => 0);
    my ($status, $said) = $n->nginx->test_config;
    isnt($status, 0, 'an origin without a scheme');
    like($said, qr/invalid origin "example.org"/, 'said so');
};

done_testing;
