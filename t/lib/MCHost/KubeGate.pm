package MCHost::KubeGate;

# A door to a test's cluster that counts and misbehaves: TLS ends in an nginx
# that writes every request down; behind it are a proxy (MCHost::Proxy) and
# `kubectl proxy`.
#
#   my $gate = MCHost::KubeGate->new($kube, "$dir/gate");
#   $gate->kubeconfig;              for the reconciler
#   $gate->proxy->watch(k => 1, pid => PID, when => 'after');
#   $gate->requests                 "METHOD path status" of all so far

use strict;
use warnings;
use MCHost::Process;
use MCHost::Proxy;
use Time::HiRes qw(sleep);

my $conf = <<'EOC';
user root;
worker_processes 1;
daemon off;
pid %DIR%/nginx.pid;
error_log %DIR%/error.log;
events { worker_connections 512; }
http {
    log_format request '$request_method $request_uri $status';
    access_log %DIR%/access.log request;
    client_body_temp_path %DIR%/tmp-body;
    proxy_temp_path %DIR%/tmp-proxy;
    fastcgi_temp_path %DIR%/tmp-fastcgi;
    uwsgi_temp_path %DIR%/tmp-uwsgi;
    scgi_temp_path %DIR%/tmp-scgi;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:%PORT% ssl;
        ssl_certificate %DIR%/gate.crt;
        ssl_certificate_key %DIR%/gate.key;
        client_max_body_size 16m;
        location / {
            proxy_pass http://unix:%DIR%/proxy.sock;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_read_timeout 1h;
            proxy_set_header Host localhost;
            proxy_set_header Authorization "";
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
}
EOC

sub new {
    my ($class, $kube, $dir) = @_;

    mkdir $dir;
    my $self = bless { dir => $dir, port => MCHost::Test::free_port(), kubeconfig => "$dir/kubeconfig" }, $class;
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=gate "
        . "-addext subjectAltName=IP:127.0.0.1 -keyout $dir/gate.key -out $dir/gate.crt 2>/dev/null") == 0 or die 'openssl';
    _write("$dir/nginx.conf", $conf =~ s/%(DIR|PORT)%/$1 eq 'DIR' ? $dir : $self->{port}/ger);
    _write("$dir/kubeconfig", <<EOT2);
apiVersion: v1
kind: Config
clusters: [{name: gate, cluster: {server: "https://127.0.0.1:$self->{port}", certificate-authority: "$dir/gate.crt"}}]
users: [{name: gate, user: {token: any}}]
contexts: [{name: gate, context: {cluster: gate, user: gate}}]
current-context: gate
EOT2
    $self->{proxy} = MCHost::Proxy->new(listen => "$dir/proxy.sock", to => $kube->{socket});
    $self->{proc} = MCHost::Process->spawn(name => 'gate', log => "$dir/gate.log", death_signal => 15,
        cmd => [ '/usr/sbin/nginx', '-p', $dir, '-e', "$dir/error.log", '-c', "$dir/nginx.conf" ]);
    MCHost::Test::wait_for(sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}") }, 'the gate', 20);
    return $self;
}

sub _write {
    my ($file, $text) = @_;

    open my $f, '>', $file or die "$file: $!";
    chmod 0600, $file;
    print $f $text;
    close $f or die "$file: $!";
}

sub kubeconfig { $_[0]{kubeconfig} }
sub proxy      { $_[0]{proxy} }

# Watches are written down when they end.
sub requests {
    my ($self) = @_;

    return split /\n/, MCHost::Test::slurp("$self->{dir}/access.log");
}

1;
