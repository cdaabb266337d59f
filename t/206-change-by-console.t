# What a running game takes over from its console is not a reason to restart it;
# and a game that starts again has it.

use lib 't/lib';
use MCHost::Test;
use JSON::PP;

my $t = MCHost::Test->new(podman => 1, reconciler => { ping_interval => '1s' });
my $acme = $t->tenant('acme');
my $id = $t->server($acme, 'lobby', shutdown => { announceSeconds => 0, graceSeconds => 20 })->{id};

sub doc { return $t->api(GET => "/servers/$id", key => $acme->{key})->json }
sub cond { my ($type) = @_; return (grep { $_->{type} eq $type } @{ doc()->{status}{conditions} // [] })[0]{status} // '' }
sub change { my (%spec) = @_; return is($t->api(PATCH => "/servers/$id", key => $acme->{key}, body => { spec => \%spec })->status, 200, 'a change') }
sub container { return $t->podman->inspect('container', "mc-$id-server") }
sub lines { return map { my %f = @{ $_->[1] }; JSON::PP->new->utf8->decode($f{data})->{line} } @{ $t->redis->call(XRANGE => "mchost:log:$id", '-', '+') } }
sub later { my ($what, $cond) = @_; return ok(eval { wait_for { $cond->() } $what, 90 }, $what) || diag($@, $t->recon->tail) }
sub settled { my $d = doc(); return ($d->{status}{observedGeneration} // 0) == $d->{generation} && $d->{status}{state} eq 'Running' && cond('Ready') eq 'True' && cond('ConfigInSync') eq 'True' }

later('Running', \&settled);
my $before = container();

change(properties => { difficulty => 'hard' });
later('the game is told', sub { grep { /difficulty.*hard/i } lines() });
later('in sync', \&settled);
change(access => { operators => [ { name => 'Ada' } ] });
later('an operator', sub { grep { /Ada.*operator/i } lines() });
change(access => { operators => [] });
later('is none any more', sub { grep { /Ada.*no longer.*operator/i } lines() });
later('in sync', \&settled);
is(cond('RestartPending'), 'False', 'no restart is pending');
is(container()->{Id}, $before->{Id}, 'the container is the same');
is(container()->{State}{StartedAt}, $before->{State}{StartedAt}, 'and was not restarted');

$t->api(POST => "/servers/$id/actions/stop", key => $acme->{key});
later('Stopped', sub { doc()->{status}{state} eq 'Stopped' });
$t->api(POST => "/servers/$id/actions/start", key => $acme->{key});
later('Running again', \&settled);
isnt(container()->{Id}, $before->{Id}, 'with a new container: the old one was made for the old spec');
done_testing;
