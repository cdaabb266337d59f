# Sockets over TLS, where the library gathers what is written and a socket can
# be full in the middle of a record; HTTP/2 is refused.

use lib 't/lib';
use MCHost::Test;
use JSON::PP ();

my $port = free_port();
my $crt = '/tmp/mch-tls-' . $$;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $crt.key -out $crt.crt 2>/dev/null") == 0 or die 'openssl';
my $pid = $$;
END { unlink "$crt.key", "$crt.crt" if $pid == $$ }

my $t = MCHost::Test->new(nginx => { WS => 'queue=256k', HTTP => <<"EOT" });
    server {
        listen 127.0.0.1:$port ssl http2;
        ssl_certificate $crt.crt;
        ssl_certificate_key $crt.key;
        location = /api/v1/ws { mchost_websocket main queue=256k; }
    }
EOT
my $acme = $t->tenant('acme');
my @id = map { $t->server($acme, "s$_")->{id} } 1 .. 50;

# A plain port whose connections are carried on to the TLS one.
my $plain = free_port();
my $bridge = MCHost::Process->spawn(name => 'bridge', log => "$t->{dir}/bridge.log", cmd => [ 'node', '-e', <<"EOT" ]);
const net = require('net'), tls = require('tls');
net.createServer({ allowHalfOpen: false }, c => {
    const s = tls.connect({ port: $port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] });
    c.on('error', () => s.destroy()); s.on('error', () => c.destroy());
    c.pipe(s); s.pipe(c);
}).listen($plain, '127.0.0.1');
EOT
wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$plain") } 'the bridge';

sub ws { return MCHost::WebSocket->connect($plain, headers => { Authorization => "Bearer $acme->{key}" }, @_) }

subtest 'a conversation' => sub {
    my $ws = ws(early => MCHost::WebSocket::frame(1, '{"op":"ping","id":"early"}'));
    is($ws->status, 101, 'upgraded');
    is($ws->recv->{id}, 'early', 'a frame with the handshake');
    is($ws->ask({ op => 'subscribe', topics => ['status'], servers => ['*'] })->{op}, 'ack', 'subscribed');
    my %seen = map { $ws->recv->{server} => 1 } @id;
    is(scalar keys %seen, scalar @id, 'a snapshot of fifty servers');
    is($ws->close, 1000, 'closed');
};

subtest 'history of 2,000 long lines, and live behind it' => sub {
    my $ws = ws();
    my $line = sub {
        my $data = JSON::PP->new->canonical->encode({ line => $_[0], stream => 'stdout' });
        my $entry = $t->redis->call('XADD', "mchost:log:$id[0]", '*', 'time', '2026-01-01T00:00:00Z', 'data', $data);
        $t->redis->call('PUBLISH', "mchost:t:$acme->{id}:logs", "1 $id[0] $entry 2026-01-01T00:00:00Z $data");
    };
    $line->("$_ " . 'y' x 2000) for 1 .. 2000;
    $ws->ask({ op => 'subscribe', topics => ['logs'], servers => [ $id[0] ], since => '0' });
    $line->("$_ " . 'z' x (20 * $_ % 7000)) for 2001 .. 3000;
    my ($last, @bad) = (0);
    while ($last < 3000) {
        my $m = $ws->recv;
        my ($n) = ($m->{data}{line} // '') =~ /^(\d+)/;
        push @bad, $m->{op} eq 'event' ? "$last, then $n" : $m->{op} if ($n // 0) != $last + 1;
        last if @bad > 5 || !$n;
        $last = $n;
    }
    is_deeply(\@bad, [], 'all of it in order');
    $ws->close;
};

subtest 'HTTP/2' => sub {
    my $out = `curl -sk --http2 -o /dev/null -w '%{http_version} %{http_code}' https://127.0.0.1:$port/api/v1/ws -H 'Authorization: Bearer $acme->{key}'`;
    like($out, qr/^2 4\d\d$/, 'is refused');
};

$bridge->stop('KILL');
done_testing;
