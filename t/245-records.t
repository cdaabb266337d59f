# What the reconciler writes down of a server as time goes by: events, which
# sockets are told as well, and measurements.

use lib 't/lib';
use MCHost::Test;
use JSON::PP;

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '1s' });
my $acme = $t->tenant('acme');
my $redis = $t->redis->client('reconciler');
$redis->call(SUBSCRIBE => "mchost:t:$acme->{id}:events");
my $id = $t->server($acme, 'lobby', shutdown => { announceSeconds => 0, graceSeconds => 20 })->{id};

sub get { my ($path) = @_; return $t->api(GET => $path, key => $acme->{key})->json }
sub later { my ($what, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, 90 }, $what) || diag($@, $t->recon->tail) }
sub events { return grep { $_->{server} eq $id } @{ get('/events')->{items} } }

later('Running is an event', sub { grep { $_->{reason} eq 'Running' } events() });
my ($event) = grep { $_->{reason} eq 'Running' } events();
is($event->{type}, 'Normal', 'a good one');
is($event->{message}, 'the server answers status pings', 'in words');

later('a measurement', sub { @{ get("/servers/$id/metrics?step=60")->{items} } });
my ($m) = @{ get("/servers/$id/metrics?step=60")->{items} };
cmp_ok($m->{memoryBytes} // 0, '>', 0, 'memory, as Podman tells it');
is($m->{players}, 0, 'players, as the game tells them');
is($m->{$_}, undef, "$_ was not measured") for qw(storageBytes tps mspt);

$t->api(POST => "/servers/$id/actions/stop", key => $acme->{key});
later('Stopped is an event', sub { grep { $_->{reason} eq 'Stopped' } events() });
my @stored = events();
is((grep { $_->{reason} eq 'Running' } @stored) + 0, 1, 'each is told once');

my (@told, $last);
while (!@told || $told[-1]{reason} ne 'Stopped') {
    my ($version, $server, $seq, $time, $data) = split / /, $redis->message->[1], 5;
    my ($ms, $n) = $seq =~ /^(\d+)-(\d+)$/ or fail("a place: $seq"), last;
    is("$version $server", "1 $id", 'an envelope of the server');
    ok(!$last || $ms > $last->[0] || ($ms == $last->[0] && $n > $last->[1]), 'places increase');
    $last = [ $ms, $n ];
    push @told, JSON::PP->new->utf8->decode($data);
    is($told[-1]{time}, $time, 'its time');
}
is_deeply([ map { "$_->{id} $_->{type} $_->{reason} $_->{message}" } @told ], [ map { "$_->{id} $_->{type} $_->{reason} $_->{message}" } @stored ], 'sockets are told what is stored');
is_deeply([ sort keys %{ $told[0] } ], [ sort keys %{ $stored[0] } ], 'in the same form');

done_testing;
