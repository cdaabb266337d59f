# What the init container does for add-ons, run here as the images run it: with
# curl and jq as the itzg images have them, with node as the demo image.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use Digest::SHA qw(sha256_hex sha512_hex);
use File::Temp ();
use JSON::PP ();
use POSIX ();

my $dir = File::Temp->newdir;
my %content = map { ($_ => "content of $_\n" x 3) } qw(/a.jar /b.jar /c.zip /flaky.jar);
my $port = free_port();
my $url = "http://127.0.0.1:$port";

sub put {
    my ($file, $text) = @_;
    open my $f, '>', "$dir/$file" or die "$file: $!";
    print {$f} $text;
    close $f;
}

# A site whose flaky file is there at the third time, and something like
# Modrinth's API. Every path that is asked for is a line in the log.
sub serve {
    my ($c) = @_;
    my $request = '';

    while ($request !~ /\r\n\r\n/) { sysread($c, $request, 4096, length $request) or return }
    my ($path) = $request =~ /^GET (\S+)/ or return;
    open my $log, '>>', "$dir/log";
    syswrite $log, "$path\n";
    close $log;
    my $count = () = slurp("$dir/log") =~ /^\Q$path\E$/mg;
    my $file = sub {
        my ($name, $primary) = @_;
        return { url => "$url/$name", primary => $primary ? \1 : \0, hashes => { sha512 => sha512_hex($content{"/$name"}) } };
    };
    my $json = sub { (200, JSON::PP->new->encode($_[0])) };
    my ($status, $body) =
          $path =~ m{^/v2/project/many/version\?} ? $json->([
              { version_type => 'beta', files => [$file->('a.jar', 1)] },
              { version_type => 'release', files => [$file->('a.jar', 0), $file->('b.jar', 1)] } ])
        : $path eq '/v2/project/one/version/1.0' ? $json->({ version_type => 'beta', files => [$file->('c.zip', 0)] })
        : $path =~ m{^/v2/project/none/} ? $json->([])
        : $path =~ m{^/v2/project/broken/} ? (200, '<html>')
        : $path eq '/moved' ? (302, '')
        : $path eq '/flaky.jar' && $count % 3 ? (503, '')
        : exists $content{$path} ? (200, $content{$path})
        :                          (404, 'nothing');
    syswrite $c, "HTTP/1.1 $status X\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n"
        . ($status == 302 ? "Location: /a.jar\r\n" : '') . "\r\n$body";
}

my $site = fork() // die "fork: $!";
if ($site == 0) {
    $SIG{TERM} = 'DEFAULT';
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 16, ReuseAddr => 1) or POSIX::_exit(1);
    while (my $c = $listener->accept) { serve($c); close $c }
    POSIX::_exit(0);
}
END { if ($site) { local $?; kill 'KILL', $site; waitpid $site, 0 } }
wait_for { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) } 'the site';

# A PATH with nothing but these.
sub tools {
    my ($name, @tools) = @_;
    mkdir "$dir/$name";
    for my $tool (@tools) {
        my ($path) = grep { -x } map { "$_/$tool" } split /:/, $ENV{PATH};
        symlink $path, "$dir/$name/$tool" or die "$tool: $!";
    }
    return "$dir/$name";
}

my @usual = qw(sh cat rm mv mkdir sort grep sleep sha256sum sha512sum);
my %path = (curl => tools('with-curl', @usual, qw(curl jq)), node => tools('with-node', @usual, 'node'));
my ($with, $data);

# Runs it with these lines; the exit code, what it said, its last word.
sub run_addons {
    my (@lines) = @_;
    my $list = join '', map { join("\t", @$_) . "\n" } @lines;

    unlink "$dir/why", "$dir/log";
    my $said = do {
        local %ENV = (PATH => $path{$with}, DATA => $data, ADDONS => $list, TERMINATION_LOG => "$dir/why", RETRY_SECONDS => 0);
        qx(sh reconciler/addons.sh 2>&1);
    };
    return ($? >> 8, $said, slurp("$dir/why"));
}

sub files { my @f = map { s{^\Q$data\E/}{}r } glob "$data/*/*.* $data/*/*/*.*"; return "@f" }
sub sum { 'sha512:' . sha512_hex($content{ $_[0] }) }

for my $tool (qw(curl node)) {
    $with = $tool;
    $data = "$dir/data-$tool";
    mkdir $data;

    my ($rc, $said, $why) = run_addons();
    is("$rc$said", '0', "$tool: nothing wanted, nothing done");
    ok(!-e "$data/.mchost-addons", 'nor written down');

    my @three = (['plugins', 'a.jar', sum('/a.jar'), 'url', "$url/moved"],
        ['mods', 'f.jar', 'sha256:' . sha256_hex($content{'/flaky.jar'}), 'url', "$url/flaky.jar"],
        ['world/datapacks', 'c.zip', '-', 'modrinth', "$url/v2/project/one/version/1.0"]);
    ($rc, $said) = run_addons(@three);
    is($rc, 0, 'three add-ons') or diag($said);
    is(files(), 'mods/f.jar plugins/a.jar world/datapacks/c.zip', 'each in its folder');
    is(slurp("$data/plugins/a.jar"), $content{'/a.jar'}, 'after a redirect');
    is(slurp("$data/mods/f.jar"), $content{'/flaky.jar'}, 'after errors that pass');
    is(slurp("$data/world/datapacks/c.zip"), $content{'/c.zip'}, 'a version of a project');

    ($rc) = run_addons(@three);
    is($rc, 0, 'the same again');
    is(slurp("$dir/log"), "/v2/project/one/version/1.0\n", 'downloads nothing that is there');

    put("data-$tool/plugins/own.jar", 'of the tenant');
    ($rc, $said) = run_addons(['plugins', 'a.jar', '-', 'modrinth', "$url/v2/project/many/version?x"]);
    is($rc, 0, 'the latest release of a project') or diag($said);
    is(slurp("$data/plugins/a.jar"), $content{'/b.jar'}, 'its primary file replaces the other');
    is(files(), 'plugins/a.jar plugins/own.jar', 'what is no longer wanted goes, the tenant\'s own stays');

    ($rc, $said, $why) = run_addons(['plugins', 'b.jar', sum('/a.jar'), 'url', "$url/b.jar"]);
    is($rc, 1, 'another file than was meant');
    my ($is, $wanted) = (sum('/b.jar'), sum('/a.jar'));
    like($why, qr{^add-on b\.jar: \Q$url\E/b\.jar is not the file that was meant, its checksum is $is, wanted is $wanted$}, 'says so');
    ok(!-e "$data/plugins/b.jar" && !-e "$data/.mchost-download", 'and does not stay');

    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', sum('/a.jar'), 'url', "$url/nowhere.jar"]);
    is($rc, 1, 'a file that is not there');
    like($why, qr{^add-on n\.jar cannot be downloaded from \Q$url\E/nowhere\.jar: .*404}, 'says so');
    is(slurp("$dir/log"), "/nowhere.jar\n", 'and is asked for once');

    my $closed = free_port();
    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', sum('/a.jar'), 'url', "http://127.0.0.1:$closed/x"]);
    is($rc, 1, 'a site that is away');
    is(() = ($said =~ /trying again/g), 4, 'is tried five times');

    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', '-', 'url', "$url/a.jar"]);
    like($why, qr/^add-on n\.jar: it has no checksum$/, 'no checksum, no download');
    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', '-', 'modrinth', "$url/v2/project/none/version"]);
    like($why, qr/^add-on n\.jar: Modrinth has no version of it that fits this server$/, 'nothing at Modrinth fits');
    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', '-', 'modrinth', "$url/v2/project/broken/version"]);
    like($why, qr/^add-on n\.jar: Modrinth gave an answer that cannot be read$/, 'an answer of another kind');
    ($rc, $said, $why) = run_addons(['plugins', 'n.jar', sum('/c.zip'), 'modrinth', "$url/v2/project/many/version?x"]);
    like($why, qr/^add-on n\.jar: Modrinth has sha512:\S+, wanted is sha512:/, 'a checksum of the spec counts at Modrinth as well');

    ($rc) = run_addons(['plugins', 'a.jar', '-', 'modrinth', "$url/v2/project/many/version?x"]);
    ($rc, $said) = run_addons(['plugins', 'a.jar', '-', 'modrinth', "http://127.0.0.1:$closed/v2/x"]);
    is($rc, 0, 'Modrinth away: a file that is there will do') or diag($said);
    is(slurp("$data/plugins/a.jar"), $content{'/b.jar'}, 'it stays');

    ($rc) = run_addons(['plugins', '$(touch x)`touch y`.jar', sum('/a.jar'), 'url', "$url/a.jar"]);
    is($rc, 0, 'names are names');
    is(files(), 'plugins/$(touch x)`touch y`.jar plugins/own.jar', 'nothing in them is run');
    ($rc) = run_addons();
    is(files(), 'plugins/own.jar', 'all of them gone');
}

done_testing;
