### Las palabras de Azud en español. Mismas claves y variables que locales/en/azud.ftl.

## Forma de los errores

error-label-what = error:
error-label-why = causa:
error-label-hint = remedio:
error-label-code = código:
error-label-warning = aviso:

## Errores: qué significa cada código y qué hacer

error-cli-usage = No se entiende la orden
    .hint = Consulte la ayuda de la orden: añada --help.
error-cli-bad-config = No se ha entendido la configuración
    .hint = Corrija /etc/azud/azud.toml (o el fichero que indica AZUD_CONFIG), las variables AZUD_… o las opciones.
error-cli-not-confirmed = Sin confirmar; no se ha escrito nada
    .hint = Repita con --yes, o escriba el nombre cuando se le pida.
error-cli-interrupted = Interrumpido por una señal
    .hint = Ejecute la misma orden otra vez: lo empezado se limpia o se continúa.
error-image-bad-name = El nombre de la imagen no es válido
    .hint = Ninguna parte puede estar vacía, empezar por punto ni tener caracteres de control, y no puede acabar como un fichero anejo (.info, .sum, .lock…).
error-image-not-a-file = No es la clase de fichero que debe ser
    .hint = Las imágenes son ficheros normales: nombre el fichero mismo. Un dispositivo se captura con «azud image create»; un flujo se restaura con -.
error-image-not-found = No existe
    .hint = Revise el nombre; «azud image list DIR» muestra lo que hay, «azud image list REPO:» lo que tiene un repositorio.
error-image-outside = El nombre lleva fuera de su repositorio
    .hint = Alguien ha puesto ahí un enlace: mírelo (ls -l) y bórrelo.
error-image-case-twin = Difieren mayúsculas y minúsculas
    .hint = Escriba el nombre exactamente como está allí.
error-image-not-native = No es una imagen en el formato de Azud
    .hint = Si la hizo otro programa, conviértala con «azud image import».
error-image-truncated = La imagen está incompleta
    .hint = La copia se quedó a medias: cópiela de nuevo o recupere una versión anterior («azud image history»).
error-image-corrupt = La imagen está dañada
    .hint = Cópiela de nuevo, repárela en la caché («azud cache repair») o vuelva a una versión anterior («azud image rollback»).
error-image-false-sum = Una suma junto a la imagen no es la de la imagen
    .hint = OpenGnsys copiaría la imagen una y otra vez, o tomaría una vieja por nueva. Borre el fichero que se nombra o escríbalo de nuevo.
error-image-newer-version = La imagen es de una versión de Azud más nueva
    .hint = Actualice azud en este equipo.
error-image-too-large = La imagen declara un tamaño que el formato no admite
    .hint = El fichero está dañado o es malicioso: no lo use; cópielo de nuevo desde su origen.
error-image-foreign-endian = La imagen se hizo en una máquina con el orden de bytes inverso
    .hint = Restáurela y captúrela de nuevo en una máquina little-endian.
error-image-unknown-format = Formato o compresión desconocidos
    .hint = Se admiten imágenes de partclone y de ntfsclone y discos enteros, sin comprimir o en gzip, lzop, zstd, xz, bzip2 o lz4.
error-image-locked = La imagen está bloqueada
    .hint = Espere a que termine quien la bloqueó e inténtelo de nuevo.
error-image-no-such-version = No hay tal versión en la papelera
    .hint = «azud image history IMAGEN» muestra las que hay.
error-place-bad-name = El nombre del repositorio no es válido
    .hint = Es REPO, CACHE, una dirección (IPv6 entre corchetes), el nombre de un equipo, USB-id o DVD-id; escriba ./ delante de un fichero con dos puntos en el nombre.
error-place-no-manager = Nadie ha dicho qué equipo es el gestor
    .hint = Ponga «manager» en /etc/azud/azud.toml, AZUD_MANAGER o --manager; en el propio gestor, «serving = true» o --serving: allí REPO: significa «images» de [serve] o, si no la hay, la raíz.
error-place-not-mounted = El repositorio no está
    .hint = Móntelo antes («azud env» muestra lo que está montado) o, si es un gestor, delo a conocer aquí: azud repo add DIRECCIÓN --protocol http --token-file FICHERO
error-place-not-answering = El repositorio no responde
    .hint = Su servidor o la red no están. Espere y repita, o quítelo de en medio («azud repo unmount DIRECCIÓN», si no umount -f -l) y móntelo más tarde; los demás repositorios siguen funcionando.
error-place-gone = Lo que estaba montado ahí ya no está
    .hint = Desmonte lo que queda («azud repo unmount DIRECCIÓN», «azud storage unmount MEDIO») y móntelo de nuevo.
error-place-ambiguous = Varios repositorios responden a ese nombre
    .hint = Indique por su ruta el que quiere, o desmonte los demás.
error-place-alias-taken = Un fichero o directorio ocupa el sitio de un alias
    .hint = Cámbiele el nombre: las direcciones, REPO, CACHE, USB-… y DVD-… son nombres de repositorios.
error-cache-pinned = La imagen está fijada
    .hint = «azud cache unpin IMAGEN» permite retirarla.
error-cache-in-use = La imagen está en uso
    .hint = Espere a que termine la restauración, actualización o montaje, y vuelva a intentarlo.
error-cache-last-copy = La imagen es la última copia en la caché de lo que usa este equipo
    .hint = Traiga antes otra copia a la caché, o restaure otra cosa en esa partición. «azud cache evict IMAGEN --even-last-copy» renuncia a ella.
error-cache-no-room = No hay sitio en la caché
    .hint = Deje de fijar imágenes, espere a que queden libres las que están en uso, o dé a la caché una partición mayor.
error-cache-no-copy = La otra copia no tiene lo que está dañado
    .hint = Indique con --from otra copia de la misma versión, o copie de nuevo la imagen entera.
error-cache-unknown-version = Nadie sabe qué versión de la imagen era esta
    .hint = «azud cache update IMAGEN» trae la actual; lo que aquí está bien se conserva.
error-store-no-room = No hay sitio para la imagen; no se ha escrito nada
    .hint = Borre imágenes o versiones anteriores que nadie necesite.
error-store-file-too-large = El sistema de ficheros no admite un fichero de ese tamaño; no se ha escrito nada
    .hint = FAT32 admite ficheros de hasta 4 GiB: use un medio formateado con exFAT, ext4 o NTFS.
error-store-source-changed = La imagen cambió mientras se leía
    .hint = Repita la orden: seguirá con la nueva.
error-store-half-moved = Una parte de la imagen está en una actualización suya que se interrumpió
    .hint = Repita esa actualización con el mismo origen. Hasta entonces la imagen se puede restaurar, pero no sustituir.
error-site-problems = Algo en este equipo impide trabajar
    .hint = Haga lo que «azud doctor» dice junto a cada problema.
error-fs-dirty = El sistema de ficheros no se cerró correctamente
    .hint = Revíselo y repárelo, o capture el dispositivo entero con --dirty raw.
error-fs-hibernated = Windows está hibernado en este volumen
    .hint = Arranque Windows, desactive el inicio rápido y apáguelo del todo (shutdown /s /f /t 0).
error-fs-corrupt = El sistema de ficheros está dañado
    .hint = Repárelo con su propia herramienta (fsck, chkdsk) e inténtelo de nuevo. Si es mayor que su dispositivo, devuelva antes su tamaño a la partición: una reparación cortaría lo que queda fuera.
error-fs-unsupported = El sistema de ficheros usa una característica que Azud no conoce
    .hint = Pruebe con --engine partclone o actualice azud.
error-fs-unknown = No se reconoce ningún sistema de ficheros
    .hint = Compruebe que es la partición correcta, y no el disco entero ni un volumen cifrado.
error-disk-mounted = Ya está montado
    .hint = Desmóntelo (umount) e inténtelo de nuevo.
error-disk-busy = El dispositivo está en uso
    .hint = Detenga lo que lo usa (lo muestran lsblk y fuser -v) e inténtelo de nuevo.
error-disk-not-a-device = No es un dispositivo de bloques ni un fichero normal
    .hint = lsblk muestra los dispositivos de este equipo.
error-disk-bad-name = No se ha entendido el nombre del dispositivo
    .hint = Es /dev/…, un fichero, DISCO:PARTICIÓN (1:2) o serial=SERIE:PARTICIÓN; lsblk -o NAME,SERIAL los muestra.
error-disk-ambiguous = Varios discos responden a ese nombre
    .hint = Indique el dispositivo por su ruta; lsblk -o NAME,SERIAL los muestra.
error-disk-too-small = El destino es demasiado pequeño
    .hint = Elija una partición mayor, o reduzca el sistema de ficheros antes de capturarlo.
error-disk-sector-size = El tamaño de sector del destino no se ajusta a la imagen
    .hint = Restaure en un disco cuyos sectores lógicos tengan el tamaño de los del original.
error-disk-holds-source = El dispositivo contiene la propia imagen
    .hint = Ponga la imagen en otro disco, o elija otro dispositivo.
error-disk-target-is-image = El destino es en sí una imagen
    .hint = Quítela antes de en medio («azud image rm» la guarda en la papelera) o elija otro destino.
error-disk-empty = No hay nada que capturar
    .hint = Compruebe que es el dispositivo correcto: no tiene ningún byte.
error-disk-changed = El dispositivo cambió o desapareció durante el trabajo
    .hint = Revise los cables y quién más lo usa, y empiece de nuevo.
error-disk-read-only = El medio es de solo lectura
    .hint = Quite la protección contra escritura, o móntelo con permiso de escritura. Si hace un momento se podía escribir, su disco falló o se ha desconectado: lo dice el registro del núcleo (dmesg).
error-disk-no-space = No queda espacio
    .hint = Libere espacio o escriba en otro sitio; las versiones anteriores de las imágenes también ocupan.
error-disk-read-back = Lo que se lee no es lo que se escribió
    .hint = No use el destino: falla su disco, su cable o la memoria.
error-disk-io = El sistema operativo rechazó una operación
    .hint = Mire la causa; dmesg dirá si el disco está fallando.
error-disk-permission = Sin permiso
    .hint = Ejecútelo como root (sudo) o revise los permisos del fichero. Si también root es rechazado, el sistema no lo permite en este contenedor o máquina.
error-disk-bad-table = La tabla de particiones no se puede usar
    .hint = Examínela (sfdisk --list) y repárela; hasta entonces no se escribe nada más en ella.
error-disk-no-place = No hay sitio para la partición
    .hint = Pida menos (--size), reduzca o borre otra partición, o indique una que ya exista.
error-disk-not-empty = Se perdería lo que contiene el disco
    .hint = Examínelo (blkid, lsblk -f). Si puede perderse, vacíelo usted (wipefs --all DISPOSITIVO) e inténtelo de nuevo.
error-cache-not-found = No hay ninguna caché
    .hint = «azud cache init DISCO» crea una; «azud cache find» muestra lo que se ha encontrado. También lo es un directorio: lo dice AZUD_CACHE=DIR delante de cualquier orden.
error-cache-ambiguous = Hay varios dispositivos que son caché
    .hint = Indique cuál es («azud cache mount DISPOSITIVO»), o quite la etiqueta CACHE a los demás.
error-cache-exists = Ya hay una caché
    .hint = Para perder todas sus imágenes, indique su partición y añada --reformat.
error-cache-no-file-system = No se reconoce el sistema de ficheros de la partición de la caché
    .hint = Mire antes: «blkid -p DISPOSITIVO» y «wipefs DISPOSITIVO» muestran lo que contiene, «e2fsck -fn DISPOSITIVO» (xfs_repair -n, btrfs check) lo revisa sin cambiar nada. «azud cache init DISPOSITIVO» formatea lo que está en blanco; con --reformat también lo que no, y entonces se pierden todas sus imágenes.
error-mount-unsupported = El núcleo no sabe montar ese sistema de ficheros
    .hint = Cargue el módulo del núcleo (modprobe), o use un núcleo que lo tenga.
error-mount-bad-place = Ahí no se puede montar nada
    .hint = Indique un directorio propio, que no sea un enlace y donde no haya nada montado.
error-mount-not-mounted = Ahí no hay nada montado
    .hint = findmnt muestra qué está montado y dónde.
error-repo-unreachable = El servidor no responde
    .hint = Compruebe la dirección, el cable y el cortafuegos del servidor; --protocol indica cómo se le pregunta. Después repita la orden: las actualizaciones, copias y despliegues siguen donde estaban.
error-repo-denied = El servidor lo rechaza
    .hint = SMB: compruebe el usuario y la contraseña (--user con --password-stdin, o --credentials FICHERO). NFS: el servidor debe exportar el directorio a este equipo (/etc/exports, exportfs -ra).
error-repo-no-such-share = El servidor no tiene nada con ese nombre
    .hint = Compruebe --path; «smbclient -L DIRECCIÓN» y «showmount -e DIRECCIÓN» muestran lo que tiene el servidor.
error-repo-wrong-protocol = El servidor no habla esta versión del protocolo
    .hint = Pida otra: --option vers=2.1 o vers=3.0 para SMB, vers=3 o vers=4.2 para NFS, u otro --protocol.
error-repo-unknown = No se sabe cómo se llega al repositorio
    .hint = Indíquelo con --protocol y --path; «azud repo add» lo recuerda.
error-repo-untrusted = El servidor no es el que se conoce
    .hint = Si el gestor se ha instalado de nuevo, compare la huella que muestra al arrancar y use «azud repo add DIRECCIÓN --protocol http --pin HUELLA --token-file FICHERO». Si no, otro responde en su lugar.
error-repo-unauthorised = El servidor no acepta el token
    .hint = «azud token create» en el gestor hace otro; «azud repo add» lo recuerda aquí.
error-repo-bad-token = No hay ningún token en el fichero
    .hint = «azud token create --role read» en el gestor muestra uno nuevo: escríbalo en un fichero que sea solo de root (umask 077) e indíquelo, azud repo add DIRECCIÓN --protocol http --pin HUELLA --token-file FICHERO. Una persona entra por unas horas con «azud login».
error-repo-token-expired = El token ha caducado
    .hint = Pida otro: «azud login» para una persona, «azud token create» en el gestor para un equipo. Si su reloj o el del gestor estaba mal, corríjalo antes.
error-repo-bad-login = El código no vale
    .hint = Un código vale una vez y durante cinco minutos: «azud token code» en el gestor muestra otro.
error-repo-too-many-logins = Se han probado demasiados códigos
    .hint = Espere unos segundos y teclee el código otra vez. Un código vale cinco minutos: «azud token code» en el gestor muestra otro.
error-repo-token-elsewhere = El token no vale en esta dirección
    .hint = «azud token list» en el gestor muestra para qué subredes vale; haga uno para la de este equipo.
error-repo-not-allowed = El token vale, pero no para esto
    .hint = Una persona entra con «azud login» y un código de «azud token code» en el gestor; para un equipo, «azud token create --role write» hace allí un token y «azud repo add» lo recuerda aquí. «azud token list» muestra allí para qué es cada token.
error-repo-read-only = El gestor no acepta nada de nadie
    .hint = Solo deja leer (--read-only, o read_only debajo de [serve]). Envíe a otro, o trabaje en su equipo.
error-repo-cannot-read = El gestor no tiene permiso para leerla
    .hint = En su equipo: el fichero y su carpeta deben poder leerse con la cuenta con la que se ejecuta el gestor (chown, chmod; la del paquete es azud).
error-repo-cannot-store = El gestor no puede escribir ahí
    .hint = En su equipo: la carpeta debe ser de la cuenta con la que se ejecuta el gestor (chown; la del paquete es azud), y su disco no debe estar en solo lectura.
error-repo-disk-fails = Falla un disco del equipo del gestor
    .hint = En su equipo: «azud image verify» encuentra qué parte de la imagen se puede leer aún, «journalctl -k» muestra lo que dice el disco o el recurso montado allí. Ayudan otras copias: «--from», «azud cache repair --from».
error-repo-bad-answer = La respuesta del servidor no es lo que se pidió
    .hint = Inténtelo otra vez; si persiste, algo entre este equipo y el gestor cambia lo que envía, o tiene otra versión.
error-repo-too-busy = El servidor tiene demasiado que hacer en este momento
    .hint = Inténtelo dentro de un momento: las actualizaciones, copias y despliegues siguen donde estaban. Si persiste, llegan demasiadas conexiones o peticiones desde esta dirección o esta aula; «azud room status» muestra quién está trabajando.
error-repo-bad-request = El gestor no entiende lo que se le pide
    .hint = Puede que el cliente y el gestor tengan versiones distintas: azud --version en ambos. Quien escriba programas encuentra lo que hay en /openapi.json del gestor.
error-repo-index-in-making = El índice de la imagen se está haciendo
    .hint = Vuelva a pedirlo dentro de un momento.
error-repo-bad-range = Un intervalo de bytes que no se puede servir
    .hint = Pida un solo intervalo dentro del fichero.
error-repo-bad-upload = Lo enviado no puede ser parte de la imagen
    .hint = Vuelva a intentarlo; si persiste, cliente y gestor son de versiones distintas o algo entre ellos cambia lo que se envía.
error-repo-no-upload = El gestor no tiene lo que se le había enviado
    .hint = Ejecute la misma orden otra vez: lo que ya está allí no se vuelve a enviar.
error-repo-too-many-uploads = El gestor ya recibe tantas imágenes como puede
    .hint = Vuelva a intentarlo dentro de un momento.
error-repo-bad-report = El informe del trabajo de un equipo no es aceptable
    .hint = Ponga en ese equipo la misma versión de Azud que en el gestor.
error-server-cannot-listen = Nadie puede escuchar en esa dirección
    .hint = Indique una dirección de este equipo y un puerto libre; ss -ltn muestra los ocupados.
error-server-bad-certificate = Un certificado está dañado
    .hint = Recupere ca.pem y ca.key del gestor de una copia; sin ellos necesita una autoridad nueva, y hay que decírselo a cada cliente.
error-server-no-state = Ningún gestor tiene ahí su estado
    .hint = Lo hace «azud serve» la primera vez que arranca ahí; --state dice qué directorio es.
error-server-no-token = No existe ese token
    .hint = «azud token list» los muestra.
error-trust-unsigned = La imagen no está firmada y este equipo solo acepta imágenes firmadas
    .hint = Quien responde de la imagen la firma: azud image sign IMAGEN --key FICHERO. Las claves de confianza están en azud.toml ([trust] keys).
error-trust-bad-signature = La firma de la imagen no vale
    .hint = Haga firmar la imagen de nuevo (azud image sign), con una clave que esté en azud.toml aquí ([trust] keys). Hasta entonces no la use: alguien puede haberla cambiado.
error-trust-other-image = La firma es de otra imagen
    .hint = Alguien puede haber renombrado o cambiado imágenes. Si el nombre se cambió a propósito, fírmela con el nuevo: azud image sign IMAGEN --key FICHERO
error-trust-older-image = La imagen se firmó antes que otra que este equipo ya vio con el mismo nombre
    .hint = Alguien puede haber vuelto a poner una versión antigua. Si fue a propósito, fírmela de nuevo: azud image sign IMAGEN --key FICHERO
error-trust-bad-key = No es una clave de firma, o no se puede abrir
    .hint = Las claves son de minisign («minisign -G» hace un par); --password-stdin da la contraseña de una secreta.
error-repo-open-secret = Otros pueden leer un fichero con un secreto
    .hint = Déjelo solo para su dueño: chmod 600 FICHERO, o chmod 700 DIR.
error-storage-no-medium = No existe ese medio extraíble
    .hint = «azud storage list» muestra lo que hay conectado.
error-tool-missing = Falta un programa
    .hint = Instálelo con el gestor de paquetes del sistema.
error-tool-failed = Ha fallado un programa externo
    .hint = Lea lo que dijo; si lo ejecuta a mano quizá diga más.

## Qué ha fallado en este mismo caso, donde no solo el inglés tiene palabras

detail-interrupted = detenido a medias, como se pidió
detail-too-small = el destino tiene { $has } bytes, la imagen necesita { $needs } bytes
detail-trailing = el fichero tiene { $extra } bytes tras el final de la imagen
    .hint = Alguien le añadió algo o lo rellenó. La imagen puede estar íntegra: truncate -s { $end } FICHERO quita lo que sobra; después compruébela.
detail-no-device = { $path }: no hay tal dispositivo ni fichero
detail-mounted = { $path }: montado en { $at }
detail-busy-exclusive = { $path }: lo usa otro programa, que tiene { $device } solo para él
detail-busy = { $path }: lo usa { $by }
detail-not-found = no existe { $path }
detail-directory-absent = no existe el directorio { $path }
    .hint = Créelo (mkdir -p { $path }), o monte el disco en el que está.
detail-not-a-directory = { $path }: { $what }
    .hint = Nombre un directorio, o quite ese fichero de ahí.
detail-nothing-there = no existen ni el directorio { $path } ni la imagen { $image }
detail-locked = alguien más está cambiando { $path }
detail-no-room-at-all = haría falta liberar { $needed } bytes más, y nada puede irse
detail-stays-pinned = { $image } está fijada
detail-stays-in-use = alguien está trabajando con { $image }
detail-stays-not-planned = el plan no nombraba { $image }
detail-half-moved = una parte de { $image } está en una actualización suya que se interrumpió
detail-second-name = { $path } tiene un segundo nombre (un enlace duro), que perdería lo que se mueve
    .hint = Repita la orden: si hay sitio para las dos imágenes, la antigua se queda como está. Si no lo hay, o ya se movió una parte, quite el otro nombre (find DIRECTORIO -xdev -samefile { $path } lo muestra), o haga de él una copia aparte (cp), y repita la orden.
detail-state-no-directory = { $path } no es un directorio
    .hint = El estado de un gestor es el directorio en el que «azud serve» guarda su autoridad y sus tokens (/var/lib/azud si lo ejecuta root). Se indica con --state DIR, con AZUD_STATE o con state en azud.toml.
detail-sent-is-gone = lo que se envió de { $path } ya no está
    .hint = Alguien lo quitó en el gestor, o quitó la carpeta en la que iba a estar. Ejecute otra vez la misma orden: la carpeta se hace de nuevo y se envía todo otra vez.
detail-images-no-directory = { $path } no es un directorio
    .hint = Indique el directorio en el que están las imágenes: --images DIR, AZUD_IMAGES, o images debajo de [serve] en azud.toml.
detail-token-missing = falta --token-file FICHERO
    .hint = «azud token create --role read» muestra en el gestor un token: escríbalo en un fichero que sea solo de root (umask 077) e indíquelo. Una persona entra sin él, por unas horas: azud login { $host } --pin HUELLA
detail-net-nameless = { $name } no se puede resolver: nadie dice qué dirección tiene
    .hint = Compruebe cómo está escrito; «getent hosts { $name }» lo pregunta igual que Azud. Si ningún servidor de nombres lo conoce, escriba su dirección y el nombre en /etc/hosts, o nombre el equipo por su dirección.
detail-net-unauthorised-login = { $host } no acepta el token de la sesión iniciada aquí
    .hint = «azud login { $host }» con un código nuevo la renueva; «azud login { $host } --out» la cierra y vuelve a valer el token que guardó «azud repo add».
detail-net-login-ended = la sesión iniciada aquí para { $host } ha caducado, y { $host } tampoco acepta el token de este equipo
    .hint = Inicie otra sesión: azud login { $host }. «azud login { $host } --out» olvida que hubo una.
detail-net-bad-certificate = lo que se guarda de la autoridad del gestor no es un certificado
    .hint = Vuelva a dar a conocer el gestor a este equipo: azud repo add DIRECCIÓN --protocol http --pin HUELLA --token-file FICHERO
detail-held-azud = azud en { $host }, proceso { $pid }, tiene bloqueada { $image } desde { $since }
    .hint = Espere a que termine. Si { $host } está apagado, inténtelo de nuevo en un minuto: su bloqueo caduca solo.
detail-held-here = azud en { $host }, proceso { $pid }, tiene bloqueada { $image } desde { $since }
    .hint = Espere a que termine el proceso { $pid } de este equipo (ps { $pid } lo muestra).
detail-held-sent = azud en { $host }, proceso { $pid }, tiene bloqueada { $image } desde { $since }: se la envía { $sender }
    .hint = Espere a que { $sender } termine de enviarla; no pare el proceso { $pid }, que es el gestor. Lo que se interrumpió caduca dos minutos después de la última señal de { $sender }, y allí la misma orden sigue con ello enseguida.
detail-being-sent = se está recibiendo { $image } de { $sender }, lo que caduca tras { $seconds } segundos sin señales de vida
    .hint = Espere a que { $sender } termine de enviarla y repita. Si allí se interrumpió, repita dentro de { $seconds } segundos, o repita la orden allí: sigue enseguida.
detail-put-together = { $image } llegó de { $sender } y se está componiendo
    .hint = Llegó entera; repita dentro de un momento.
detail-held-ownerless = una herramienta que no dice quién es tiene bloqueada { $image }
    .hint = Espere a que termine la herramienta que hizo el bloqueo. Si no hay ninguna trabajando: rm '{ $lock }'
detail-held-mounted = un servidor que tiene montado su sistema de ficheros tiene bloqueada { $image }
    .hint = Haga que el servidor termine con la imagen. Si allí no está montada: rm '{ $lock }'
detail-held-reduced = un servidor que está reduciendo su sistema de ficheros tiene bloqueada { $image }
    .hint = Haga que el servidor termine con la imagen. Si allí no se está reduciendo: rm '{ $lock }'
detail-stays-last-copy = { $image } es la última copia en la caché de lo que usa { $partition }
detail-sampled-room = { $path } necesitaría unos { $likely } bytes (al menos { $least } bytes, según muestras del contenido), y hay { $has } bytes
detail-dirty = { $fs } no se cerró bien: { $why }
detail-outside = { $path } lleva fuera de su repositorio
detail-case-twin-hidden = no existe { $wanted }, pero sí uno que difiere en mayúsculas y minúsculas
detail-case-twin = no existe { $wanted }, pero sí «{ $there }»
detail-place-silent = { $place } en { $at } no responde
detail-place-gone = { $place }: lo que estaba montado en { $at } ya no está
detail-net-place = { $host }: { $detail }
    .hint = Móntelo en el equipo de ese gestor (allí «azud repo list» y «azud doctor» dicen lo que hay), o aquí. Si es a su vez un gestor, delo a conocer aquí: azud repo add DIRECCIÓN --protocol http
detail-net-not-mounted = { $host }: { $place } no está montado
    .hint = { detail-net-place.hint }
detail-repo-denied = { $repo }: el servidor lo rechaza ({ $protocol })
detail-repo-no-share = { $repo }: el servidor no tiene ese recurso o directorio ({ $protocol })
detail-repo-wrong-protocol = { $repo }: el servidor no habla esta versión del protocolo ({ $protocol })
detail-place-not-mounted = { $place } no está montado en { $at }
detail-cache-not-mounted = { $place } no está montada en { $at }
    .hint = «azud cache mount» monta la caché que tiene este equipo, «azud cache init DISCO» crea una. También lo es un directorio: lo dice AZUD_CACHE=DIR delante de cualquier orden.
detail-cache-dir-absent = no hay ningún directorio { $path }
    .hint = Créelo (mkdir -p { $path }) si va a ser una caché, monte el disco en el que está, o indique otro.
detail-cache-no-directory = { $path } no es un directorio
    .hint = Una caché es un directorio: indique otro. Si no la indica AZUD_CACHE ni una opción, la caché es la de este equipo.
detail-cache-absent = { $place } no está montada
    .hint = «azud cache mount» monta la caché que tiene este equipo, «azud cache init DISCO» crea una. También lo es un directorio: lo dice AZUD_CACHE=DIR delante de cualquier orden.

## Qué impide trabajar

doctor-label-why = por qué:
doctor-state-ok = bien
doctor-state-unknown = sin saber
doctor-state-warning = aviso
doctor-state-problem = problema
doctor-area-kernel = Núcleo y permisos
doctor-area-tools = Programas
doctor-area-config = Configuración
doctor-area-site = Centro
doctor-area-mounts = Montajes
doctor-area-clocks = Relojes
doctor-area-managers = Gestores
doctor-area-space = Espacio
doctor-area-stages = Trabajo sin terminar
doctor-area-cache = Caché
doctor-sum = Bien: { $ok }, sin mirar: { $unknown }, avisos: { $warnings }, problemas: { $problems }
doctor-problems = { $problems ->
    [one] { $problems } problema
   *[other] { $problems } problemas
}

doctor-for-nfs = montar repositorios por NFS
doctor-for-smb = montar repositorios por SMB
doctor-for-cache = una partición de caché corriente
doctor-for-cache-shares = una caché cuyas imágenes comparten lo que tienen en común
doctor-for-sticks = memorias y discos USB
doctor-for-discs = los DVD
doctor-for-loops = probar con ficheros en lugar de discos
doctor-for-fuse = montar sin controlador propio del núcleo (exFAT, NTFS)
doctor-for-find-cache = encontrar la caché y los medios extraíbles
doctor-for-mounting = montar
doctor-for-cache-table = crear una partición de caché
doctor-for-other-file-systems = capturar f2fs, HFS+, JFS y otros sistemas de ficheros poco usados
doctor-for-qcow2 = exportar imágenes a qcow2
doctor-for-dirty-ext = reparar ext2, ext3 y ext4 antes de capturarlos
doctor-for-dirty-ntfs = reparar NTFS antes de capturarlo
doctor-for-dirty-fat = reparar FAT antes de capturarlo

doctor-root = Se trabaja como root
doctor-not-root = No se trabaja como root
    .why = Solo root puede leer y escribir discos y montar; parte de lo que sigue no se puede mirar.
    .remedy = sudo azud doctor
doctor-openat2 = El núcleo resuelve los nombres (openat2)
doctor-no-openat2 = El núcleo no resuelve los nombres (openat2), o un confinamiento lo prohíbe
    .why = Azud recorre entonces cada ruta paso a paso: igual de seguro, pero más lento.
    .remedy = Use Linux 5.6 o posterior; un contenedor necesita un perfil de seccomp más nuevo.
doctor-no-modules = Los módulos del núcleo en marcha { $release } no están instalados
    .why = Tras actualizar el núcleo no se puede cargar nada más hasta el próximo arranque.
    .remedy = sudo reboot; si tampoco los había antes: sudo apt-get install linux-image-amd64
doctor-driver = El núcleo maneja { $name }
doctor-driver-loadable = El núcleo maneja { $name } en cuanto cargue su módulo
doctor-no-driver = El núcleo no maneja { $name }
    .why = Hace falta para { $purpose }.
    .remedy = Arranque un núcleo que lo tenga: sudo apt-get install linux-image-amd64

doctor-tool = { $path }
doctor-no-tool = { $name } no está instalado
    .why = Hace falta para { $purpose }.
    .remedy = sudo apt-get install --no-install-recommends { $package }

doctor-config = { $path } se entiende
doctor-no-config = No hay { $path }: vale lo que diga el entorno o, si no, lo predeterminado
doctor-config-wrong = No se entiende la configuración: { $wrong }
    .why = Toda orden que nombre un repositorio se detiene ahí.
    .remedy = Corríjala; el mensaje dice fichero y línea, o la variable.
doctor-config-open = Otros además de root pueden cambiar { $path }
    .why = Root trabaja según lo que diga.
    .remedy = sudo chown root:root { $path } && sudo chmod 644 { $path }

doctor-images-root = La raíz de imágenes es { $path }
doctor-no-images-root = No hay raíz de imágenes { $path }
    .why = Los repositorios se montan debajo.
    .remedy = sudo mkdir -p { $path }
doctor-images-root-no-directory = La raíz de imágenes { $path } no es un directorio
    .why = Los repositorios se montan debajo.
    .remedy = sudo mv { $path } { $path }.old && sudo mkdir -p { $path }
doctor-images-root-silent = La raíz de imágenes { $path } no responde
    .why = Un servidor del que está montada ha desaparecido: todo programa que mire ahí se queda parado.
    .remedy = sudo umount -l { $path }
doctor-addresses = Direcciones de este equipo: { $addresses }
doctor-no-address = Este equipo no tiene dirección
    .why = Sin red solo se pueden usar la caché y los medios extraíbles.
    .remedy = ip -brief address; sudo dhclient -v
doctor-serving = Este equipo es el gestor
doctor-manager = El gestor es { $host }
doctor-no-manager = Nadie ha dicho qué equipo es el gestor
    .why = Aquí REPO no significa nada.
    .remedy = echo 'manager = "DIRECCIÓN"' | sudo tee -a /etc/azud/azud.toml
doctor-manager-is-here = La dirección del gestor { $host } es la de este equipo, que no sirve
    .why = REPO y la caché se confunden.
    .remedy = Si es el gestor: echo 'serving = true' | sudo tee -a /etc/azud/azud.toml
doctor-names = Los nombres de repositorios en { $path } están al día
doctor-names-stale = Hay nombres de repositorios en { $path } que no casan con lo montado: { $count }
    .why = Los guiones que usen REPO, CACHE o una dirección llegan a otro sitio, o a ninguno.
    .remedy = sudo azud env
doctor-name-taken = { $path } ocupa el lugar del nombre de un repositorio
    .why = No se puede crear el alias, así que los guiones llegan a esto.
    .remedy = sudo mv { $path } { $path }.old && sudo azud env
doctor-names-unknown = No se pueden mirar los repositorios: { $why }
doctor-names-silent = Los repositorios no responden; más abajo se dice lo que hay montado

doctor-no-mounts = No hay ningún repositorio montado
doctor-mount = { $path }: { $source } ({ $fs })
doctor-mount-read-only = { $path }: { $source } ({ $fs }), de solo lectura
doctor-mount-covered = { $path }: { $source } ({ $fs }) está oculto bajo otro montaje
    .why = Se montó dos veces; desmontar una no libera el lugar.
    .remedy = sudo umount { $path }
doctor-mount-stale = { $path }: { $source } ({ $fs }) ya no está
    .why = Se retiró el servidor, lo que exportaba o el medio; todo uso falla.
    .remedy = sudo umount -l { $path }
doctor-mount-silent = { $path }: { $source } ({ $fs }) no responde
    .why = Todo programa que mire ahí se queda parado hasta que vuelva el servidor.
    .remedy = Ocúpese del servidor, o renuncie a él: sudo umount -f -l { $path }
doctor-view-silent = { $path }: el gestor { $source } no responde
    .why = Los programas que miran ahí no encuentran las imágenes hasta que vuelva a responder.
    .remedy = Compruebe que «azud serve» funciona allí y que la red está bien; o quite la vista: azud repo unmount { $source }
doctor-view-refused = { $path }: el gestor { $source } ya no acepta el token
    .why = Se revocó o ha caducado: los programas que miran ahí no encuentran las imágenes.
    .remedy = Haga otro en el gestor (azud token create) y después: azud repo add { $source } --protocol http --token-file FICHERO. La vista sigue con él por sí misma.

doctor-date = El reloj dice { $date }
doctor-date-wrong = El reloj dice { $date }, y no puede ser
    .why = Por él se juzgan los certificados, los bloqueos y la edad de las versiones anteriores.
    .remedy = sudo timedatectl set-ntp true; sin red: sudo date -s 'AAAA-MM-DD hh:mm'
doctor-clock = { $path } tiene la hora de este equipo
doctor-clock-skew = { $path } fecha sus ficheros a { $seconds } s del reloj de este equipo
    .why = Los servidores rechazan el acceso, y las versiones anteriores parecen más viejas o más nuevas de lo que son.
    .remedy = En ambos equipos: sudo timedatectl set-ntp true
doctor-clock-unknown = No se puede ver el reloj de { $path }: { $why }

doctor-room = { $path }: { $free } libres de { $size }
doctor-room-little = { $path }: solo { $free } libres de { $size }
    .why = Puede que la próxima imagen no quepa.
    .remedy = Primero sobran las versiones anteriores: azud image history IMAGEN; du -xh { $path } | sort -h | tail enseña el resto.
doctor-room-none = { $path } está lleno: { $free } libres de { $size }
    .why = No se puede escribir nada más, ni siquiera lo necesario para limpiar.
    .remedy = du -xh { $path } | sort -h | tail
doctor-room-no-files = { $path } no admite más ficheros ({ $free } libres de { $size })
    .why = Al sistema de ficheros se le han acabado los nodos-i.
    .remedy = du --inodes -x { $path } | sort -n | tail
doctor-room-unknown = No se sabe el espacio de { $path }: { $why }
doctor-place-silent = { $path } no responde

doctor-stages = { $path }: no quedó nada sin terminar
doctor-stage-at-work = { $path }: alguien está trabajando
doctor-stage-committed = { $path } guarda una imagen entera que no está en su sitio
    .why = Alguien fue interrumpido; todavía se ve la imagen anterior.
    .remedy = sudo azud image list { $dir }
doctor-stage-broken-off = { $path } guarda el comienzo de una imagen cuya copia, actualización o captura se interrumpió
    .why = La imagen no está al día. Lo que ya está no se lee otra vez.
    .remedy = Repita la orden que se interrumpió: sudo azud cache update o sudo azud image copy; en un gestor, también sudo azud image create de un cliente. Si su origen está dañado, use otra copia.
      Si nadie va a seguir: sudo azud image rm --unfinished { $image }
doctor-stage-abandoned = { $path } quedó de una ejecución que murió
    .why = Ocupa espacio. Cualquier orden sobre la carpeta lo retira.
    .remedy = sudo azud image list { $dir }
doctor-stages-unknown = No se puede recorrer { $path }: { $why }

doctor-no-managers = Aquí no se conoce ningún gestor
doctor-managers-unknown = No se puede leer qué gestores se conocen aquí: { $why }
doctor-manager-answers = El gestor { $host } responde en { $milliseconds } ms{ $allows ->
    [read] ; el token es para leer
    [write] ; el token es para leer y escribir
    [admin] ; el token es para todo
    [read-only] ; solo deja leer lo que tiene
   *[other] {""}
}
doctor-manager-unasked = No se ha preguntado al gestor { $host }: { $why }
doctor-manager-unusable = Lo que se guarda aquí del gestor { $host } no sirve: { $why }
    .why = No se le puede pedir nada.
    .remedy = { $hint }
doctor-manager-silent = El gestor { $host } no dice nada en { $seconds } s
    .why = Mientras no responda, sus imágenes no se pueden traer ni se le pueden enviar.
    .remedy = Compruebe que su equipo está encendido, que la dirección y la red están bien y que los cortafuegos dejan pasar el puerto { $port }.
doctor-manager-unreachable = El gestor { $host } no responde en el puerto { $port }: { $why }
    .why = Mientras no responda, sus imágenes no se pueden traer ni se le pueden enviar.
    .remedy = Compruebe que «azud serve» funciona allí y escucha en esta dirección y este puerto, y que la red está bien.
doctor-managers-same = { $hosts } son un solo gestor: tienen la misma autoridad
doctor-manager-nameless = No se puede preguntar al gestor { $host }: { $why }
    .why = Mientras no se pueda, sus imágenes no se pueden traer ni se le pueden enviar.
    .remedy = { $hint }
doctor-manager-untrusted = El gestor { $host } no es el que se conoce aquí: responde otra autoridad
    .why = Puede ser otro en su lugar, así que no se le pide ni se le envía nada.
    .remedy = { $hint }
doctor-manager-refused = El gestor { $host } no deja entrar a este equipo: { $why }
    .why = Sus imágenes no se pueden traer ni se le pueden enviar.
    .remedy = { $hint }
doctor-manager-odd = El gestor { $host } no responde como debe: { $why }
    .why = Mientras no lo haga, sus imágenes no se pueden traer ni se le pueden enviar.
    .remedy = { $hint }
doctor-manager-clock = El reloj del gestor { $host } está a { $seconds } s del de este equipo
    .why = Los tokens caducan según el reloj del gestor, y las fechas de imágenes, versiones anteriores e informes no casan.
    .remedy = En ambos equipos: sudo timedatectl set-ntp true

doctor-cache = La caché { $device } está montada en { $path }
doctor-cache-named = La caché es { $path }, como dice AZUD_CACHE
doctor-cache-named-absent = AZUD_CACHE no indica ninguna caché utilizable: { $why }
    .why = Toda orden que necesita la caché se detiene ahí.
    .remedy = { $hint }
doctor-cache-read-only = La caché { $device } está montada en { $path }, de solo lectura
    .why = Se puede restaurar desde ella, pero no actualizarla. El núcleo hace eso con un sistema de ficheros dañado.
    .remedy = sudo dmesg | tail; sudo azud cache unmount && sudo fsck { $device } && sudo azud cache mount
doctor-cache-unmounted = La caché { $device } no está montada
    .why = Hasta entonces CACHE no significa nada.
    .remedy = sudo azud cache mount
doctor-cache-unformatted = La caché { $device } está en blanco: aún no tiene sistema de ficheros
    .why = No se puede montar.
    .remedy = sudo azud cache init { $device }
doctor-cache-unrecognised = La caché { $device } no tiene un sistema de ficheros reconocible, pero no está en blanco
    .why = No se puede montar. Puede contener imágenes que una reparación recupere.
    .remedy = sudo blkid -p { $device }; sudo wipefs { $device } (solo muestra)
      sudo e2fsck -fn { $device } (no cambia nada; XFS: xfs_repair -n, btrfs: btrfs check)
      Solo si nada de eso ayuda, pues se pierden todas sus imágenes: sudo azud cache init { $device } --reformat
doctor-cache-several = Varios dispositivos son cachés: { $devices }
    .why = No se elige nada donde podrían ser dos, así que ninguna orden encuentra la caché.
    .remedy = Cambie la etiqueta de una, por ejemplo: sudo e2label { $second } OLDCACHE
doctor-no-cache = No hay partición de caché
    .why = Las imágenes tienen que venir entonces cada vez por la red.
    .remedy = azud cache init DISCO --dry-run
doctor-cache-unneeded = No hay partición de caché; el gestor no la necesita
doctor-cache-shares = Las imágenes de la caché pueden compartir lo que tienen en común (reflink)
doctor-cache-copies = El sistema de ficheros de la caché copia lo que las imágenes tienen en común (sin reflink)
doctor-cache-shares-unknown = No se puede probar si las imágenes de la caché comparten lo que tienen en común
doctor-cache-direct = En la caché se puede escribir sin pasar por la caché de páginas (O_DIRECT)
doctor-cache-indirect = En la caché se escribe a través de la caché de páginas (sin O_DIRECT)
doctor-cache-direct-unknown = No se puede probar si en la caché se escribe sin pasar por la caché de páginas
doctor-cache-unknown = No se puede buscar la caché: { $why }
doctor-device-unknown = No se puede mirar { $device }: { $why }
doctor-disks-silent = Un disco no responde

## Pedir conformidad

confirm-prompt = Se pierde todo lo que contiene { $device } ahora. Para seguir, escriba su nombre:
confirm-prompt-table = Esto cambia la tabla de particiones de { $device }. Para continuar, escriba su nombre:
confirm-nobody = nadie ha dado su conformidad para perder lo que contiene { $device }
confirm-pin-prompt = Si el gestor muestra la misma huella al arrancar, escriba aquí su nombre, { $device }, para seguir:
confirm-pin-nobody = nadie ha comparado la huella de { $device }
confirm-replacing-prompt = Para ponerlo en el lugar de lo que se guarda para { $device }, escriba ese nombre:
confirm-replacing-nobody = nadie ha dicho que lo que se guarda para { $device } pueda irse
confirm-other = la respuesta no fue { $device }

## La línea de órdenes

usage-heading = Uso:
usage-commands = Órdenes
usage-arguments = Argumentos
usage-options = Opciones
usage-global = Para todas las órdenes
usage-any-options = [OPCIONES]
usage-possible = [{ $values }]
usage-default = [por defecto: { $value }]
usage-hint = { $command } --help
usage-unknown = aquí no existe { $arg }
usage-suggestion = (¿quería decir { $tip }?)
usage-no-command = no existe la orden «{ $command }»
usage-which-command = no dice qué orden
usage-missing = falta: { $args }
usage-no-value = { $arg } necesita un valor
usage-bad-value = { $arg } no puede ser «{ $value }»
usage-valid-values = debe ser uno de estos: { $values }
usage-conflict = { $arg } y { $other } se contradicen
bad-pin = una huella es sha256: y 64 cifras hexadecimales, como la muestra el gestor
bad-size = un tamaño es un número de bytes, o algo como 10M, 10MiB, 1.5G
bad-level = es un número entero del 1 al 19
bad-duration = una duración es un número con s, m, h, d o w: 90m, 8h, 30d
bad-subnet = es una dirección y un número de bits, como 10.0.0.0/8
bad-host-bits = tiene bits más allá de los que distinguen la subred: 10.0.0.0/8, no 10.0.0.1/8
bad-pattern = es el nombre de una imagen, con * por cualquier texto: «aula1/*»
bad-number = es un número entero, 0 o mayor

value-address = DIRECCIÓN
value-file = FICHERO
value-medium = MEDIO
value-option = OPCIÓN
value-path = RUTA
value-protocol = PROTOCOLO
value-user = NOMBRE
value-a = A
value-b = B
value-dst = DESTINO
value-command = ORDEN
value-device = DISPOSITIVO
value-dir = DIR
value-engine = MOTOR
value-foreign = AJENA
value-format = FORMATO
value-fs = SF
value-how = MODO
value-host = EQUIPO
value-image = IMAGEN
value-lang = IDIOMA
value-layout = DISPOSICIÓN
value-n = N
value-name = NOMBRE
value-out = SALIDA
value-source = ORIGEN
value-shell = SHELL
value-size = TAMAÑO
value-table = TABLA
value-src = ORIGEN
value-way = MODO
value-when = CUÁNDO
value-version = VERSIÓN

## Ayuda

help = Guarda las imágenes de disco de las aulas y las pone en sus equipos
help-args =
    .moving = Dejar que partes de la imagen vieja pasen a la nueva: cuando no hay sitio para ambas, o …
    .no-evict = Rehusar donde algo de la caché tendría que salir para hacer sitio
    .help = Explica esta orden
    .version = Muestra la versión
    .json = JSON para programas: un objeto por línea; el último es el resultado
    .quiet = Solo lo que se ha pedido, y los errores
    .lang = Idioma de los mensajes; si no, AZUD_LANG, LC_ALL, LC_MESSAGES, LANG
    .dry-run = Muestra el plan y no hace nada más
    .yes = Sigue adelante sin preguntar
    .image = La imagen
    .level = Compresión, de 1 (rápida) a 19 (la que menos ocupa)
    .root = La raíz de las imágenes; si no, AZUD_ROOT, /etc/azud/azud.toml, /opt/opengnsys/images
    .layout = Cómo dispone el centro sus árboles; si no, AZUD_LAYOUT, opengnsys
    .package = El paquete en las rutas de la disposición eac
    .manager = La dirección del gestor, y tras comas sus otros nombres; si no, AZUD_MANAGER
    .serving = Este equipo es el gestor: REPO: significa «images» de [serve] (AZUD_IMAGES) o, si no la hay, la raíz
    .address = El equipo, por dirección o nombre
    .protocol = Cómo se llega a él; auto pregunta al servidor
    .path = Ruta exportada (nfs), recurso con carpeta (smb), directorio (file)
    .write = Montarlo también para escribir
    .credentials = Fichero con nombre y contraseña, legible solo por su dueño
    .user = Nombre para el servidor; la contraseña llega con --password-stdin
    .password-stdin = Leer la contraseña de la entrada estándar
    .options = Opción para el programa de montaje; nunca una contraseña
    .state = Dónde guarda el gestor su autoridad y sus tokens; si no, AZUD_STATE, /var/lib/azud
    .port = Puerto de un gestor
    .pin = Huella de la autoridad del gestor, como la muestra al arrancar
    .token-file = Fichero con un token del gestor, legible solo por su dueño
    .medium = El medio: USB-tools, tools o su dispositivo
help-demo = Muestra toda la historia en este equipo, sin ser root
    .dir = Dónde trabajar, en vez de un directorio temporal
    .keep = Conserva los ficheros creados
help-doctor = Busca qué impide trabajar, y dice qué hacer
help-env = Muestra dónde están los repositorios, para guiones: eval "$(azud env)"
    .shell = El intérprete que lo lee
help-cache = Crea, busca, monta y describe la partición de caché, y cuida de sus imágenes
help-cache-find = Muestra los dispositivos que son caché, y cuál se usa
    .devices = Buscar solo en estos discos o particiones
help-cache-init = Crea una caché: una partición nueva en un disco, o una partición que ya existe
    .device = Un disco (se añade una partición, las demás se conservan) o una partición (se pierde lo que contiene)
    .fs = Sistema de ficheros; con XFS y btrfs las imágenes comparten bloques
    .size = Tamaño de la partición nueva; si no, todo el hueco mayor
    .start = Dónde empieza la partición nueva, un múltiplo de 1M; si no, lo más al final posible
    .number = Número de la nueva partición; si no, 4 en una MBR, el primero libre menos el 4 en una GPT
    .table = Tabla de particiones para un disco que no la tiene
    .reformat = Formatear de nuevo una caché: se pierden todas sus imágenes
help-cache-mount = Monta la caché
    .device = El disco o la partición de la caché; si no, se busca
    .at = Dónde; si no, en el sitio de la disposición (RAÍZ/localhost)
    .read-only = Impedir toda escritura
help-cache-unmount = Desmonta la caché
    .device = El disco o la partición de la caché; si no, se busca
help-cache-status = Dice dónde está la caché y cuánto espacio tiene
    .device = El disco o la partición de la caché; si no, se busca
help-cache-list = Enumera lo que hay en la caché, y por qué se queda
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-cache-pin = Conserva imágenes aunque haga falta sitio
    .images = Las imágenes, por su ruta en la caché
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-cache-unpin = Permite retirar de nuevo imágenes si hace falta sitio
    .images = Las imágenes, por su ruta en la caché
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-cache-evict = Retira imágenes de la caché para siempre
    .images = Las imágenes; si no, las que hace más que no se usan, hasta cumplir los límites
    .free = Hacer sitio para tanto más, dentro de los límites
    .budget = Lo más que puede ocupar la caché; si no, AZUD_CACHE_BUDGET
    .floor = Lo que queda libre; si no, AZUD_CACHE_FLOOR, o la vigésima parte del sistema de ficheros (1 GiB al menos)
    .even-last-copy = También una imagen que es la última copia de lo que usa una partición de este equipo
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-cache-verify = Comprueba imágenes, antes las que hace más que no se comprueban
    .images = Las imágenes; si no, todas
    .older-than = Solo las no comprobadas en tantos días
    .rate = Leer como mucho tanto por segundo
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-cache-repair = Trae de nuevo, de otra copia, las tramas dañadas de una imagen
    .image = La imagen, por su ruta en la caché
    .from = Otra copia de ella, o un árbol que la tiene
    .cache = Directorio de la caché; si no, AZUD_CACHE, o CACHE:
help-completions = Escribe el guion de autocompletado de una shell
    .shell = La shell
help-man = Escribe las páginas de manual
    .dir = Directorio en el que se escriben
help-help = Explica una orden
    .words = La orden, palabra por palabra
help-image = Captura, comprueba, compara y restaura imágenes
help-image-create = Captura un sistema de ficheros en una imagen
    .device = Dispositivo o fichero que se lee; nunca se escribe en él
    .image = Fichero que se escribe; si ya existe, el anterior va a la papelera
    .base = Aprovecha las tramas iguales de esta imagen, o none; si no, de la que se reemplaza
    .engine = Quién busca los bloques usados; si no, Azud, y partclone para lo que no conoce
    .dirty = Captura entero un sistema de ficheros que no se cerró correctamente
    .keep-pagefile = Conserva el contenido de los ficheros de paginación, intercambio e hibernación de Windows
    .keep-days = Borra las versiones anteriores con más de estos días
    .keep-bytes = Borra las versiones anteriores más viejas que pasen de este tamaño
help-image-restore = Pone una imagen en un dispositivo
    .image = La imagen; - la lee de la entrada estándar
    .device = Dispositivo o fichero en el que se escribe; lo que contiene se pierde
    .changed-only = Compara antes y escribe solo los bloques distintos; también sirve para reanudar
    .verify-first = Comprueba toda la imagen antes de escribir nada, no solo cada trama antes de escribirla
    .read-back = Vuelve a leer el medio una vez escrito y lo comprueba
    .unused = El espacio que la imagen no usa
    .discard = Lo mismo que --unused discard
help-image-info = Dice qué contiene una imagen
    .index-out = Escribe el índice de la imagen en este fichero: lo que firma «azud image sign»
help-image-verify = Comprueba todas las tramas de una imagen
    .deep = Además las descomprime y compara todos los bytes con .full.sum
help-image-list = Lista las imágenes
    .dir = Dónde buscar
help-image-diff = Dice qué comparten dos imágenes
    .a = Una imagen
    .b = La otra
help-image-history = Lista las versiones anteriores de una imagen
help-image-rollback = Recupera una versión anterior de una imagen
    .version = Cuál, según la muestra history; si no, la última
help-image-sign = Firma una imagen, para que la acepten los equipos que confían en la clave
    .key = Fichero con la clave secreta de minisign, legible solo por su dueño
    .name = El nombre en un repositorio para el que vale la firma; si no, el de la imagen
help-image-rm = Manda una imagen a la papelera; lo que dejó una copia o puesta al día interrumpida de ella se quita del todo
    .unfinished = Quita solo lo que dejó una copia, puesta al día o captura interrumpida; la imagen, si la hay, queda como está
help-image-copy = Copia una imagen a otro repositorio; lo que ya está allí no se lee otra vez
    .src = La imagen que se copia
    .dst = Adónde: una imagen, el directorio para ella (también lo es REPO:CARPETA/) o un repositorio (USB-x:), donde tendrá el mismo sitio
help-cache-update = Pone al día una imagen; lo que ya está no se lee otra vez
    .from = La imagen nueva, el repositorio que la tiene en el mismo sitio (USB-x:), o el directorio que la tiene con el mismo nombre; si se repite se leen todos a la vez, y el primero dice qué imagen es
    .via = Cómo llega: auto lee ficheros si el repositorio está montado y si no HTTPS; file; http
help-image-export = Convierte una imagen a otro formato
    .out = Fichero que se escribe
    .to = Formato
    .compress = Comprime una imagen de partclone: OpenGnsys 1 lee lzop y gzip
help-image-import = Hace una imagen a partir de la de otro programa
    .foreign = Imagen de partclone o de ntfsclone, o disco entero, comprimidos o no
    .image = Fichero que se escribe
help-deploy = Lleva la imagen más reciente a la caché y al dispositivo, de una pasada
    .image = La imagen: de un repositorio; en la caché tiene el mismo lugar
    .device = Dispositivo o fichero en el que se escribe; lo que contiene se pierde
    .from = Quién más tiene esta imagen y da su parte: una imagen, el repositorio que la tiene en el mismo sitio (USB-x:), o el directorio que la tiene con el mismo nombre; se puede repetir
    .cache = El directorio de la caché, si no es la de este equipo
    .no-cache = Deja la caché como está: solo se trae lo que le falta al dispositivo
    .read-back = Vuelve a leer el medio una vez escrito y lo comprueba
help-repo = Monta y lista repositorios de otros equipos
help-repo-add = Recuerda cómo se llega a un repositorio
help-repo-forget = Olvida lo que «azud repo add» recordó de un repositorio: dirección, huella y token. Las imágenes se quedan, también las de la caché
help-repo-mount = Monta un repositorio en su lugar bajo la raíz
    .for-all = Dejar que cualquier usuario de este equipo lea las imágenes de un gestor; si no, solo root
help-repo-unmount = Desmonta un repositorio
help-repo-list = Lista los repositorios y su estado
help-repo-import = Trae las imágenes de un repositorio; lo que ya está aquí no se lee otra vez
    .src = El repositorio (USB-x:, 10.0.0.9:) o una carpeta suya
    .update = No tocar las imágenes capturadas después que la que vendría en su lugar; las de otros programas, de las que no se sabe, se sustituyen
    .dst = La carpeta que las recibe, cada una en el mismo lugar dentro de ella
help-serve = Sirve imágenes a otros equipos por HTTPS
    .images = Dónde están; si no, la raíz de imágenes
    .listen = Dirección en la que escuchar, con o sin puerto; si no, solo llega este equipo
    .patience = Se corta a un cliente que no toma ni envía nada durante este tiempo (30s)
    .read-only = No aceptar nada de nadie: quien tiene un token lee, y nada más. Sin --images es la caché de este equipo, si la tiene
    .https-only = Imágenes que viajan solo por HTTPS desde aquí, como «examenes/*»: ni equipos vecinos, ni torrent, ni multicast las dan; puede repetirse
    .keep-days = Días que se guardan las versiones anteriores (30); la última de cada imagen se queda, tenga la edad que tenga
    .keep-bytes = Espacio que pueden ocupar las versiones anteriores en una carpeta; las más viejas se van primero
help-token = Hace, lista y revoca los tokens del gestor
help-token-create = Hace un token y lo muestra, una vez
    .role = Qué permite
    .note = Una nota propia: para quién es
    .expires = Cuánto tiempo vale: 90m, 8h, 30d; si no, hasta que se revoque
    .subnet = Direcciones en las que vale, como 10.0.0.0/8; puede repetirse
    .images = Imágenes que existen para él, como «aula1/*»; puede repetirse
help-token-code = Muestra un código con el que una persona obtiene un token en un cliente (azud login)
    .role = Qué permite ese token
    .expires = Cuánto tiempo vale ese token
    .subnet = Direcciones en las que valen ese token y el código, como 10.0.0.0/8; puede repetirse
    .images = Imágenes que existen para ese token, como «aula1/*»; puede repetirse
    .note = Una nota para uno mismo: para quién es
help-token-list = Lista los tokens, sin sus secretos
help-token-revoke = Revoca un token
    .id = Cuál, como lo muestra la lista
help-login = Entra en un gestor como persona, con un código que muestra allí «azud token code»
    .address = El gestor; si no, REPO
    .out = Olvidar la sesión que haya; en el gestor su token vale hasta su fin
help-room = Vigila los equipos que el gestor conoce
help-room-status = Muestra cada equipo: su imagen, cuánto lleva, qué falló y qué hacer. En el propio equipo del gestor, su sala; en otro, la del gestor configurado («manager =»), también donde se sirve una caché
    .watch = Mostrarlo de nuevo cuando cambie, hasta que se detenga
    .state = Mostrar la sala del gestor de este estado, aquí, sea cual sea el gestor configurado; si no, AZUD_STATE, /var/lib/azud
help-storage = Monta y lista memorias USB y discos ópticos
help-storage-list = Lista lo conectado, con las imágenes de lo que está montado
help-storage-mount = Monta un medio, o todos los que no lo estén
    .read-only = Rechazar escrituras; los discos ópticos siempre se montan así
help-storage-watch = Retira en el acto lo que se desconecta sin haberlo desmontado, hasta que se pare
help-storage-unmount = Desmonta un medio, para poder retirarlo

## Páginas de manual

man-name = NOMBRE
man-synopsis = SINOPSIS
man-description = DESCRIPCIÓN
man-version = VERSIÓN
man-status = ESTADO DE SALIDA
man-statuses = 0 si se hizo, 1 si falló, 2 si no se entendió la orden. 128 más el número de la señal si una terminó el trabajo: 130 con Ctrl\-C (SIGINT), 143 con SIGTERM, 129 con SIGHUP. Los nombres de OpenGnsys tienen los suyos.
man-done = { $count ->
    [one] { $count } página escrita en
   *[other] { $count } páginas escritas en
}

## Progreso

phase-map = Lectura del mapa
phase-capture = Captura
phase-compare = Comparación; se escribe lo que difiere
phase-restore = Restauración
phase-read-back = Relectura
phase-verify = Comprobación
phase-repair = Reparación
phase-assemble = Reunión
phase-send = Envío
phase-convert = Conversión
stopping = Se detiene en el próximo momento seguro; un segundo Ctrl-C acaba en el acto.
progress-of = { $done } de { $total }
progress-left = faltan { $time }
progress-done = { $phase }: { $time }
progress-end = { $phase }: { $done } en { $time }, { $rate }
progress-short = { $phase }: { $done }

## Planes y resultados

plan-demo = Mostrar toda la historia
plan-cache-create = Crear una partición de caché
plan-cache-format = Formatear una partición como caché
plan-cache-mount = Montar la caché
plan-cache-unmount = Desmontar la caché
plan-image-create = Capturar una imagen
plan-image-restore = Restaurar una imagen
plan-image-rollback = Recuperar una versión anterior
plan-image-copy = Copiar una imagen
plan-login = Iniciar sesión en un gestor
plan-logout = Olvidar una sesión
plan-image-sign = Firmar una imagen
plan-deploy = Desplegar una imagen
plan-cache-update = Poner al día una imagen
plan-remains-rm = Quitar lo que dejó una copia o puesta al día interrumpida; la imagen misma no está
plan-unfinished-rm = Quitar lo que dejó una copia, puesta al día o captura interrumpida; la imagen misma queda como está
plan-image-rm = Mandar una imagen a la papelera
plan-image-export = Convertir una imagen
plan-image-import = Importar una imagen
plan-token-revoke = Revocar un token

result-image-create = Imagen capturada
result-image-restore = Imagen restaurada
result-image-verify = La imagen está bien
result-image-verify-as-indexed = Los bytes son los del índice que el gestor hizo de la imagen
result-image-verify-as-summed = La imagen es lo que dice la suma junto a ella
result-image-verify-readable = La imagen se puede leer hasta el final
result-image-rollback = Versión anterior recuperada
result-image-copy = Imagen copiada
result-deploy = Imagen desplegada
result-cache-update = Imagen puesta al día
result-remains-rm = Quitado
result-no-remains = No quedó nada de ella a medias
result-image-rm = Imagen en la papelera
result-image-export = Imagen convertida
result-image-import = Imagen importada
result-nothing = No hay nada que hacer

label-base = Base
label-block-size = Tamaño de bloque
label-changed = Cambiado
label-created = Capturada
label-device = Dispositivo
label-device-size = Tamaño del dispositivo
label-engine = Mapa leído por
label-file-size = Tamaño de la imagen
label-file-system = Sistema de ficheros
label-former = Versión anterior
label-format = Formato
label-frames = Tramas
label-remains = Dejado a medias
label-from-here = De imágenes de aquí
label-from-source = Del origen
label-from-source-at-most = Del origen, como mucho
label-from-one = – dado por { $source }
label-there = Ya está allí
label-brought = Traídas
label-unchanged = Ya estaban
label-not-brought = No traídas
label-to-send = Por enviar, como mucho
label-sent = Enviado
label-holes = Huecos, sin leer
label-holds = Contiene ahora
label-host = Equipo
label-identity = Identidad
label-image = Imagen
label-image-check = La imagen se comprueba
label-keep-bytes = Se guardan como mucho
label-keep-days = Días que se guardan
label-label = Etiqueta
label-left-out = No se incluye
label-level = Nivel
label-minimum-size = Destino más pequeño
label-mode = Modo
label-only-in-first = Solo en la primera
label-only-in-second = Solo en la segunda
label-out = Salida
label-rate = Velocidad
label-ratio = Proporción
label-read-back = Relectura
label-replaced = Sustituida
label-reused = Aprovechado
label-resumed = Ya traído antes
label-resumed-there = Ya enviado antes
label-room = Sitio que hay
label-room-needed = Sitio necesario
label-room-needed-at-most = Sitio necesario, como mucho
label-same = Igual
label-sector-size = Tamaño de sector
label-shared = Compartido
label-source = Origen
label-target = Destino
label-time = Tiempo
label-tool = Hecha con
label-unused = Espacio sin usar
label-used = En uso
label-uuid = UUID
label-version = Versión
label-way = Modo de traerla
label-written = Escrito

word-alike = solo lo distinto, si contiene algo parecido; si no, todo
word-as-reached = cada trama antes de escribirla
word-changed-only = solo lo distinto
word-copy = copiada junto a la anterior
word-copy-first = copiada; aún no hay ninguna con ese nombre
word-discard = se descarta
word-first = toda antes de escribir nada
word-leave = se deja como está
word-move = partes de la anterior pasan a la nueva
word-native = Azud
word-nothing = ya está
word-no-sums = por nada: no tiene sumas de comprobación
word-first-no-sums = leyéndola entera antes de escribir nada; no tiene sumas de comprobación
word-no = no
word-none = ninguna
word-own-sums = por sus propias sumas mientras se escribe
word-partclone = partclone
word-qcow2 = qcow2
word-raw = el dispositivo entero
word-stdin = la entrada estándar
word-whole = todo
word-yes = sí
word-zero = se pone a cero

warn-destroys = Se perderá todo lo que contiene { $device }.
warn-destroys-disk = { $device } es un disco particionado: { $count ->
    [one] se pierde la partición que tiene
   *[other] se pierden sus { $count } particiones
}, no solo un sistema de ficheros.
warn-damaged-here = { $image } se encontró dañada: se aprovecha lo que está bien y se trae el resto.
warn-dirty-raw = El sistema de ficheros no se cerró correctamente: se captura el dispositivo entero. Revíselo después de restaurarlo.
warn-left-out = No se incluye { $name }: { $size } que Windows vuelve a crear (--keep-pagefile lo conserva).
warn-known-damaged = { $image } se encontró dañada: se comprueba antes de escribir nada.
warn-moves = La { $image } anterior no se guarda: partes de ella pasan a la nueva.
warn-no-sums = No tiene sumas de comprobación, y ninguna suma junto a ella la cubre: nada dice si su contenido es lo que se capturó. «azud image import» hace de ella una imagen que desde entonces se comprueba.
warn-view-refused = El gestor { $address } ya no acepta el token de la vista. Haga otro allí («azud token create») y después «azud repo add { $address } --protocol http --token-file FICHERO»: la vista sigue con él por sí misma.
warn-view-silent = El gestor { $address } no responde: hasta que lo haga, la vista muestra a lo sumo lo que ya se había visto, y leerlo da errores. Compruebe que «azud serve» funciona allí, o quite la vista («azud repo unmount { $address }»).
warn-imports-no-sums = No tiene sumas de comprobación, y ninguna suma junto a ella la cubre: nada dice si su contenido es lo que se capturó. La imagen nueva lo conserva como está, y desde entonces se comprueba.
warn-no-map = No se reconoce el sistema de ficheros: se captura el dispositivo entero. Los ceros apenas ocupan.
warn-packed-luks = { $device } está cifrado (LUKS): se captura entero, también el espacio libre, y no se comprime. Para solo su sistema de ficheros: cryptsetup open { $device } NOMBRE, y luego azud image create /dev/mapper/NOMBRE IMAGEN
warn-packed-bitlocker = { $device } está cifrado (BitLocker): se captura entero, también el espacio libre, y no se comprime. Para solo su sistema de ficheros, quite antes BitLocker en Windows: manage-bde -off UNIDAD:
warn-packed-lvm = { $device } es de LVM: se captura entero, también el espacio libre. Para uno solo de sus volúmenes: vgchange -ay, y luego azud image create /dev/GRUPO/VOLUMEN IMAGEN
warn-packed-raid = { $device } es parte de un RAID de Linux: se captura entero, y solo sirve con todas las demás partes. Para lo que contiene el RAID: azud image create /dev/mdN IMAGEN
warn-packed-zfs = { $device } es de ZFS: se captura entero, también el espacio libre, y solo sirve con todas las demás partes de su grupo. Para lo que contiene: zfs send
warn-replaces = { $image } ya existe: va a la papelera.
warn-not-cached = { $device } tiene la imagen entera; solo la caché ha quedado sin poner al día.
warn-hurt-here = { $image } se encontró dañada en la caché. Lo que está mal se pidió a la fuente; el próximo «azud deploy» o «azud cache update» la arregla.
warn-waiting = { $host } no responde; se le pregunta otra vez durante { $seconds } segundos como mucho. Ctrl-C acaba la espera.
warn-other-answer = { $host } responde, pero no lo que se le pidió; se le pregunta otra vez durante { $seconds } segundos como mucho. Ctrl-C acaba la espera.
warn-no-answer-yet = { $host } todavía no ha respondido; se le espera { $seconds } segundos como mucho. Ctrl-C acaba la espera.
warn-no-sign = De momento no llega nada de { $host }; se le espera hasta { $seconds } segundos desde su última respuesta. Ctrl-C acaba la espera.
warn-nobody-answers = Ninguna de las fuentes responde; se les pregunta otra vez durante { $seconds } segundos como mucho (AZUD_PATIENCE lo indica). Ctrl-C acaba la espera.
warn-index-in-making = { $host } lee la imagen entera una vez para hacer su índice, lo que puede tardar. Se le espera; Ctrl-C acaba la espera.
warn-disk-fails = Falla un disco de { $host }; se le pregunta otra vez durante { $seconds } segundos como mucho. Ctrl-C acaba la espera.
warn-preparing = { $host } pide que se espere; se le pregunta otra vez durante { $seconds } segundos como mucho. Ctrl-C acaba la espera.
hint-images-there = Revise la ortografía; «azud image list { $host }:» muestra lo que hay.
warn-nothing-below = No hay ninguna imagen en { $folder }. Si debería haberla, revise la ortografía: «azud image list { $place }:» muestra todo lo que hay.
hint-nothing-begun = No se había empezado nada: no hay ningún cambio.
hint-remains-there = Lo que dejó allí de ella una captura o copia que se interrumpió se quita en el propio equipo del gestor: allí lo nombra «azud doctor», con la orden.
hint-on-the-manager = A través del gestor las imágenes se leen, se envían, se quitan y se devuelven a versiones anteriores. Para esto, trabaje en el propio equipo del gestor.
hint-damaged-there = Compruebe en { $host } qué está dañado (allí: «azud image verify { $image }»), o tome la imagen de otro que la tenga (--from).
hint-damaged-below = Compruebe en { $host } qué está dañado (allí: «azud image verify DIR/{ $image }», donde DIR es el directorio de sus imágenes), o tome la imagen de otro que la tenga (--from).
hint-evict = Quite --no-evict: el plan dirá entonces qué se retiraría, y preguntará. O haga sitio usted: «azud cache list» muestra lo que hay, azud cache evict NOMBRE lo retira.
hint-room-there = Haga sitio en el gestor: elimine allí lo que nadie necesite; cuánto se guardan las versiones anteriores lo dice «azud serve --keep-days N --keep-bytes TAMAÑO».
hint-room-or-move = Borre imágenes o versiones anteriores que nadie necesite, o quite --move never: entonces partes de la imagen antigua pasan a la nueva.
hint-room-by-way-of-here = Según las muestras la imagen tendrá unos { $likely }, y para eso hay sitio; mientras se captura solo se sabe que no pasará de lo usado. Captúrela en un fichero de aquí y envíelo con «azud image copy», o haga sitio en el gestor.
hint-file-system-there = El gestor guarda sus imágenes en un sistema de ficheros de ficheros pequeños (en FAT32, hasta 4 GiB): deben estar en ext4, XFS o btrfs.
hint-port = El puerto se indica aparte: { $address } --port { $port }
hint-url = Se nombra solo con su nombre o dirección: { $address }. Para dar a conocer un gestor: azud repo add { $address } --protocol http --pin HUELLA --token-file FICHERO
hint-pin = Si el gestor también muestra esta huella (al arrancar «azud serve»; la del servicio se ve en su equipo con «journalctl -u azud»), repita con --pin { $pin }
hint-only-read = El gestor solo la da a leer. Móntela aquí («azud repo mount { $place } …»), o trabaje en el equipo del gestor, donde está montada.
deploy-foreign = No es una imagen de Azud: azud cache update la lleva a la caché y azud image restore la pone en el dispositivo. «azud image import» hace de ella una imagen que se puede desplegar.
deploy-without-cache = O deje la caché como está: --no-cache
warn-to-history = La versión actual pasa al historial: el próximo «azud image rollback» sin versión la recupera.
warn-rolls-forward = Esta versión se capturó después que la actual.
warn-purges = Esas versiones anteriores se borran para siempre; la que se sustituye ahora se conserva.
warn-may-not-fit = Debería caber, pero solo es seguro cuando todo está comprimido. Si no cabe, el trabajo falla y no queda nada a medias.
warn-hardly-fits = Probablemente no hay sitio suficiente: hacen falta unos { $needed }, y hay { $room }. Si no cabe, el trabajo falla y no queda nada a medias.
warn-several-replaced = { $count ->
    [one] Se reemplaza una imagen de aquí: va
   *[other] Se reemplazan { $count } imágenes de aquí: van
} a la papelera.
warn-older-come = Lo que llega es más antiguo que lo que hay aquí: { $names }
warn-not-all-fit = Puede que no haya sitio para todas: la imagen que no quepa se rechaza cuando le toque, las demás llegan.
hint-no-space-nothing = De { $image } no queda nada: lo que se escribió se ha borrado. Libere espacio o escriba en otro sitio; las versiones anteriores de las imágenes también ocupan.
hint-no-space-former = { $image } está como antes: lo que se escribió de la nueva versión se ha borrado. Libere espacio o escriba en otro sitio; las versiones anteriores de las imágenes también ocupan.
warn-unchecked = Nada dice cuáles deberían ser los bytes de esta versión: no se comprueba.

holds-table = { $count ->
    [0] tabla de particiones { $kind } sin particiones
    [one] tabla de particiones { $kind } con { $count } partición
   *[other] tabla de particiones { $kind } con { $count } particiones
}
holds-labelled = { $name }, etiqueta «{ $label }»
holds-unknown = algo desconocido
holds-nothing = nada

count-frames = { $count ->
    [one] { $count } trama
   *[other] { $count } tramas
}
count-images = { $count ->
    [one] { $count } imagen
   *[other] { $count } imágenes
}

## Commands' own words

warn-untrue = { $count ->
    [one] { $count } imagen no es lo que dice su descripción («azud image info IMAGEN» muestra en qué)
   *[other] { $count } imágenes no son lo que dicen sus descripciones («azud image info IMAGEN» muestra en qué)
}
label-modified = Fecha
label-state = Estado
word-locked = bloqueada
word-mounted = montada
word-reduced = reduciéndose
word-verified = verificada
word-damaged = dañada
word-untrue = mal descrita
label-claimed = Descrita como
label-lock = Bloqueada por
label-problem = Problema
label-side-files = Junto a ella
label-untrue = Mal descrita
claim-and-finding = { $fact }: descrita como { $claimed }, es { $found }
format-directory = carpeta
format-unreadable = ilegible
format-filesystem = sistema de ficheros
format-disk = disco
format-empty = vacío
format-unknown = desconocido
fact-program = programa
fact-compressor = compresor
fact-fs = sistema de ficheros
fact-size-kb = tamaño en KiB
lock-for-sender = azud en { $host }, proceso { $pid }, desde { $since }: la envía { $sender }
lock-of-azud = azud en { $host }, proceso { $pid }, desde { $since }
lock-of-a-tool = una herramienta que no dice quién es
lock-of-a-mount = un servidor que tiene montado su sistema de ficheros
lock-of-a-reduction = un servidor que está reduciendo su sistema de ficheros
label-kept = Ya estaba
label-to-fetch = Por traer
label-dirty = Sin cerrar bien
warn-beyond-stays = Los últimos { $size } del destino quedan detrás del volumen y conservan lo que tienen: --unused no llega hasta ahí.
warn-new-file = { $device } no existe: se crea un fichero nuevo, no se escribe en ningún dispositivo.
warn-incomplete = { $device } puede haber quedado incompleto, sin sistema de ficheros. Al repetirlo, «azud deploy» continúa por sí mismo; «azud image restore», con --changed-only.
warn-incomplete-image = { $device } puede haber quedado incompleto, sin sistema de ficheros. Con una imagen íntegra, «azud deploy» continúa por sí mismo donde quedó, y «azud image restore» con --changed-only.
warn-undiscarded = El dispositivo no admite «discard»: el espacio sin usar se ha dejado como estaba.
word-current = actual
word-unchecked = sin comprobar
label-checked = Comprobación
label-present = Versión actual
label-keeps = Versiones anteriores
former-kept = { $days ->
    [one] se guardan un día
   *[other] se guardan { $days } días
}{ $bounded ->
    [true] , como mucho { $size } por carpeta
   *[other] { "" }
}
label-name = Nombre
label-purged = Borrado
label-purges = Se borra
label-room-most = Como mucho
purged = { $count ->
    [one] { $count } versión anterior, { $size }
   *[other] { $count } versiones anteriores, { $size }
}
purged-there = Versiones anteriores en el gestor, { $size }, según sus reglas
purges = { $count ->
    [one] { $count } versión anterior de { $names }, { $size }, sustituida { $oldest }
   *[other] { $count } versiones anteriores de { $names }, { $size }, sustituidas de { $oldest } a { $newest }
}
version-captured = capturada { $time }
history-next = Sin versión, «azud image rollback» recupera { $version }.
word-false-sum = suma falsa
false-sum = { $file } dice «{ $told }», la suma de la imagen es { $is }
hint-false-sum = La imagen misma está íntegra. OpenGnsys la copiaría una y otra vez, o tomaría una vieja por nueva: rm { $files }
hint-false-sum-there = La imagen misma está íntegra. OpenGnsys la copiaría una y otra vez, o tomaría una vieja por nueva: en { $host }, donde están sus imágenes: rm { $files }
hint-export-device = Se exporta a un fichero. Para poner la imagen en el dispositivo: azud image restore '{ $image }' '{ $device }'
hint-rollback-unheard = Puede que se haya hecho de todos modos, y repetirlo lo desharía: lo dice «azud image history { $image }».
hint-rollback-other = No se ha movido nada. «azud image history IMAGEN» muestra las otras versiones: azud image rollback IMAGEN VERSIÓN
verify-bad-frames = Tramas dañadas: { $frames }
word-raw-file = los bytes del dispositivo

## La caché

result-cache-init = Caché creada en { $device }
result-cache-mount = Caché montada en { $at }
result-cache-unmount = Caché desmontada
label-found-by = Hallada por
label-mounted-at = Montada en
label-read-only = Solo lectura
label-free = Libre
label-clones = Comparte bloques
label-images-coming = Por traer
label-images-there = Ya están
label-images-unread = Se sabrá al leerlas
label-images-replaced = En lugar de otra
label-images-older = Más antiguas que lo que hay aquí
label-images-newer = Quedan por ser más nuevas
label-images-own = Se omiten por estar en esa carpeta
label-newer-here = Más nuevas aquí
label-images-names = Se llaman
label-images = Imágenes
label-images-at = Imágenes en
label-table = Tabla de particiones
label-partition = Partición
label-start = Empieza en
label-compressor = Compresor
word-gpt = GPT
word-mbr = MBR
word-label = etiqueta
word-partlabel = nombre de la partición
word-environment = AZUD_CACHE
word-mbr-type = tipo de la partición
word-gpt-name = nombre en la tabla
warn-another-cache = Hay otra caché: { $devices }. Donde podrían ser dos no se elige ninguna: cambie después la etiqueta de una (sudo e2label DISPOSITIVO OLDCACHE), o nombre en cada orden la que sea.
warn-several-caches = Hay varios dispositivos que son caché: { $devices }. Hay que decir a las órdenes cuál es.
warn-unformatted = No se reconoce ningún sistema de ficheros en { $device }.
warn-mounted-read-only = La caché ya está montada, en solo lectura. Para escribir en ella, desmóntela («azud cache unmount») y vuelva a montarla.
warn-read-only-medium = El medio está protegido contra escritura: la caché se monta en solo lectura.
warn-new-table = { $device } recibe una tabla de particiones nueva.
warn-images-lost = { $count ->
    [one] Se perderá { $count } imagen ({ $size }) que contiene.
   *[other] Se perderán { $count } imágenes ({ $size }) que contiene.
}
warn-images-unknown = Es una caché, y no se puede saber qué imágenes contiene.
hint-no-cache = «azud cache init DISCO» crea una. «lsblk -o NAME,LABEL,PARTLABEL» muestra cómo se llama cada partición.
hint-plan-again = Lo que nombraba el plan ya no basta: alguien lo usa, o el disco se ha llenado entretanto. No se ha retirado nada más. Repita la orden: su plan dirá qué tendría que salir ahora.
hint-cache-blank = No contiene nada: «azud cache init { $device }» lo formatea.
hint-cache-unrecognised = No está en blanco y puede contener imágenes: no lo formatee todavía.
    Mire lo que contiene: blkid -p { $device }; wipefs { $device } (solo muestra)
    Revíselo sin cambiar nada: e2fsck -fn { $device } (XFS: xfs_repair -n, btrfs: btrfs check)
    Solo si nada de eso ayuda, pues se pierden todas sus imágenes: azud cache init { $device } --reformat
hint-reformat = Para perder todas sus imágenes: azud cache init { $device } --reformat
confirm-removal-prompt = Las imágenes nombradas arriba se borran de { $device }; la que no esté en otro sitio se pierde. Para seguir, escriba su nombre:
confirm-last-copy-prompt = Después no se podrá restaurar desde { $device } lo que usa una partición de este equipo. Para seguir, escriba su nombre:
plan-cache-evict = Retirar imágenes de la caché
plan-cache-pin = Fijar imágenes
plan-cache-unpin = Dejar de fijar imágenes
plan-cache-repair = Reparar una imagen
result-cache-evict = Imágenes retiradas de la caché
result-cache-pin = Imágenes fijadas
result-cache-unpin = Imágenes sin fijar
result-cache-repair = Imagen reparada
label-budget = Máximo ocupado
label-cache = Caché
label-damaged-frames = Tramas dañadas
label-damaged-index = Índice dañado
label-fetched = Traído
label-floor = Debe quedar libre
label-freed = Liberado
label-evicts = Sale para hacer sitio
label-older = Se queda aunque es más antigua
label-frees = Se liberará
label-held = Ocupado
label-last-used = Último uso
label-need = Sitio para
label-stays = Se queda por
label-verified = Comprobada
word-changed = cambió durante la comprobación
word-in-use = en uso
word-half-moved = en parte en una actualización interrumpida
word-not-planned = no nombrada por el plan
word-never = nunca
word-no-sum = sin tramas ni .full.sum con que comprobarla
word-pinned = fijada
stays-last-copy = última en la caché de lo que usa { $partitions }
word-sound = íntegra
word-unreadable = no se puede leer
warn-cache-damaged = { $name }: lo que la caché sabía de ella está dañado y se ha rehecho a partir de los ficheros.
warn-cache-state = No se ha podido anotar lo que se sabe de la imagen: { $why }
warn-evicted = Para hacer sitio salieron de la caché: { $names }
warn-below-floor = Quedarán libres { $left } en la caché, menos que los { $floor } que deben quedar libres: la imagen en sí cabe.
hint-begun = Lo que ha llegado de { $image } se queda en { $dir }: la próxima vez se sigue con ello.
warn-last-copy = { $image } es la última copia en la caché de lo que usa { $partition }: después no se podrá restaurar desde aquí.
warn-removes-last-copy = Es la última copia en la caché de lo que usa { $partition }. Mientras esté en la papelera, «azud image rollback» la recupera.
warn-evicts = Estas imágenes se retiran para siempre; la que no esté en otro sitio se pierde.
warn-not-remembered = La caché es de solo lectura: la comprobación no queda anotada.
warn-uncertain = Aquí las imágenes comparten bytes: cuánto se libera se ve tras cada una, y no se retira más de lo necesario ni ninguna otra.
cache-no-evict = tendrían que salir { $needed } de otras imágenes para hacer sitio, y --no-evict las conserva
evicts-image = { $name } (último uso { $used })
evicts-former = { $name } (versión anterior, de { $used })
cache-repair-hint = «azud cache repair { $image } --from COPIA» trae solo lo dañado.
cache-renew-hint = «azud cache update { $image } --from COPIA» conserva lo que está bien y trae el resto.
cache-verified = Comprobadas: { $count }; dañadas: { $bad }

## La demostración

label-size = Tamaño
demo-no-dir = Cree el directorio o indique otro con --dir: la demostración trabaja en uno que ya existe.
demo-volume = Un sistema de ficheros con ficheros reales de este equipo, dentro de un fichero
demo-capture = Capturar sus bloques en uso en una imagen y comprobarla byte a byte
demo-damage = Un solo bit cambiado en una copia se detecta
demo-restore = Restaurar la imagen, releerla y dejar que otros la juzguen
demo-same-files = { $count } ficheros, todos iguales
demo-change = Cambiar unos ficheros y capturar otra vez: las tramas iguales se aprovechan
demo-follow = Poner al día la copia restaurada: solo se escriben los bloques que difieren
demo-serve = Arrancar un gestor en la interfaz local y darle la imagen
demo-deploy = Desplegarla en otro PC: en su caché vacía y en su disco, de una pasada
demo-second = Llevarla a la caché vacía de un tercer PC
demo-delta = Una imagen más nueva: las cachés solo traen lo que cambió y nada viene dos veces
demo-kept = Los ficheros están en { $dir }
demo-step = Paso
demo-step-files = Ficheros
demo-step-capture = Captura
demo-step-image = Imagen comprimida
demo-step-verify = Comprobación, descodificando todo
demo-step-restore = Restauración y relectura
demo-step-recapture = Captura tras los cambios
demo-step-new = Lo nuevo de la segunda imagen
demo-step-first = Primer despliegue, del gestor
demo-step-update2 = Primera actualización de la segunda caché, del gestor
demo-step-delta = Actualización de la caché, del gestor
demo-step-delta2 = Actualización de la segunda caché, del gestor
demo-step-again = Segundo despliegue, del gestor
demo-step-follow = Restauración de lo que difiere

## Repositorios y medios extraíbles

plan-repo-add = Recordar un repositorio
plan-repo-forget = Olvidar un repositorio; sus imágenes se quedan
plan-repo-mount = Montar un repositorio
plan-repo-unmount = Desmontar un repositorio
plan-repo-import = Traer las imágenes de un repositorio
plan-storage-mount = Montar medios extraíbles
plan-storage-unmount = Desmontar un medio extraíble
result-repo-add = Recordado
result-repo-forget = Olvidado
result-repo-mount = Montado en { $at }
result-repo-mounted = Ya está montado, en { $at }
repo-taken = { $source } ya está en { $at }, también para escribir
repo-taken-read-only = { $source } ya está en { $at }, solo para leer
hint-repo-taken = Desmóntelo antes: sudo azud repo unmount { $address }
hint-nearly-a-device = Un dispositivo se escribe con su directorio (/dev/sda2) o con los números de disco y partición (1:2); un fichero nuevo de ese nombre es ./{ $name }.
hint-not-known = «azud repo list» muestra las direcciones conocidas.
hint-login-unknown = Diga cómo se le reconoce, «azud login { $host } --pin HUELLA» («azud serve» muestra la huella al arrancar), o delo a conocer antes: azud repo add { $host } --protocol http --pin HUELLA --token-file FICHERO
hint-other-states = Puede ser uno de estos, dicho con --state: { $states }. «azud serve» hace uno nuevo.
hint-known-otherwise = El gestor se conoce aquí como { $known }, pero se busca por el primero de sus nombres en azud.toml, que es { $first }. Ponga { $known } el primero, o delo a conocer también como { $first }: azud repo add { $first } --protocol http --pin HUELLA --token-file FICHERO
hint-code-elsewhere = El código es para otras direcciones y sigue valiendo: escríbalo en un equipo que tenga una de ellas, o pida en el gestor otro para la de este equipo, «azud token code --subnet SUBRED».
hint-login-broken-off = No se sabe si el código se aceptó. Si de él salió un token, «azud token list» en el gestor lo muestra, y «azud token revoke ID» lo anula. Un código aceptado no vale otra vez.
hint-replacing = Deje lo que hay, o repita con --yes. Por unas horas, una persona puede más con «azud login».
hint-for-all = --for-all es para gestores (--protocol http); en los demás servidores cuentan los permisos del propio servidor.
hint-asked-through = { $place } no está montado ni se conoce aquí, así que se ha preguntado a { $host } por lo que tenga montado de él. Si { $place } es un gestor, delo a conocer: azud repo add { $place } --protocol http --pin HUELLA --token-file FICHERO
hint-via-http = A un gestor conocido se llega por HTTPS: azud repo add DIRECCIÓN --protocol http
warn-another-image = { $source } tiene otra imagen y se deja de lado
warn-all-is-sent = Algo que se iba a aprovechar en el gestor no es correcto: { $detail }. Se vuelve a leer y se envía todo
warn-without = { $from } no ayuda y se sigue sin él: { $why }.
warn-without-source = Ya no llega nada de { $source }; el trabajo sigue con los demás
warn-bad-source = { $source } dio bytes erróneos o cambió, y no se le pidió nada más. Compruebe lo que hay allí («azud image verify»)
warn-wrong-bytes = { $count ->
    [one] { $source } dio bytes erróneos una vez; se pidieron a otros
   *[other] { $source } dio bytes erróneos { $count } veces; se pidieron a otros
}. Compruebe lo que hay allí («azud image verify»)
warn-silent-source = { $count ->
    [one] { $source } no respondió una vez; se pidió a otros
   *[other] { $source } no respondió { $count } veces; se pidió a otros
}
hint-view-read-only = La vista de un gestor es solo para leer. Lo que se le envía va por su nombre: azud image create DISPOSITIVO REPO:NOMBRE
result-repo-unmount = Desmontado
result-repo-import = Imágenes traídas
result-repo-import-stopped = Interrumpida; lo que llegó hasta entonces se queda
result-storage-mount = { $count ->
    [0] No hay nada nuevo conectado
    [one] { $count } medio montado
   *[other] { $count } medios montados
}
result-storage-unmount = Desmontado: ya se puede retirar
label-access = Acceso
label-address = Dirección
label-credentials = Contraseña en
label-medium = Medio
label-mount-point = Montado en
label-removed-files = Ficheros que se quitan
label-path = Ruta
label-protocol = Protocolo
word-auto = según responda el servidor
word-file = directorio
word-http = HTTPS
word-nfs = NFS
word-read-only = solo lectura
word-smb = SMB
word-stale = perdido
word-unmounted = sin montar
word-unreachable = no responde
word-mounted-silent = montada, no responde
word-answers = responde
word-untrusted = otra autoridad
word-refused = token rechazado
word-write = lectura y escritura
repo-no-directory = Este equipo no tiene ese directorio: compruebe --path.
repo-same = { $hosts } son un solo gestor: tienen la misma autoridad.
repo-none = No hay ningún repositorio montado ni conocido
repo-is-cache = Es la caché de este equipo: «azud cache mount» la monta.
repo-is-storage = Es un medio extraíble: «azud storage mount» lo monta.
storage-none = No hay ningún medio extraíble conectado
storage-nameless = No tiene etiqueta ni UUID propios con los que nombrar un directorio: póngale una etiqueta.
warn-pulled = { $medium } se retiró estando montado: ya está desmontado, y lo que no se había escrito se ha perdido.
warn-names = Los alias no están al día: { $what }
warn-base-silent = { $path } no responde: no se muestra lo que está montado ahí.
warn-no-views = Estas variables no se definen, porque no se pueden crear los enlaces por los que llevan: { $names } ({ $why })
warn-silent = { $path } no responde: sus variables no se definen.
storage-watching = Vigilando el almacenamiento extraíble; Ctrl-C termina
repo-is-here = Este equipo es el gestor: su repositorio ya está aquí.
warn-wrong-sum = { $file } no es la suma de la imagen copiada; la copia tiene la correcta.
## Los nombres de OpenGnsys

help-aliases = Instala los nombres que usan los guiones de OpenGnsys
help-aliases-install = Crea un enlace a azud por cada nombre
    .dir = Directorio de los enlaces, como /usr/local/bin
help-aliases-list = Muestra los nombres y lo que sigue a cada uno
plan-aliases-install = Crear enlaces para los nombres de OpenGnsys
result-aliases-install = { $count ->
    [one] { $count } nombre lleva a azud
   *[other] { $count } nombres llevan a azud
}
label-directory = Directorio
label-program = Programa
label-names = Nombres nuevos
warn-other-case = No existe { $wanted }; se toma { $found }, que solo difiere en mayúsculas y minúsculas.
compat-format = Formato
compat-example = Ejemplo
compat-ogGetPath = muestra dónde está un fichero; nada si no existe
compat-ogGetParentPath = muestra dónde está la carpeta de un fichero; nada si no existe
compat-ogMakeDir = crea una carpeta y las que la contienen
compat-ogCalculateChecksum = muestra el MD5 del último MiB de un fichero
compat-ogCalculateFullChecksum = muestra el MD5 de un fichero
compat-ogFindCache = muestra el disco y la partición de la caché
compat-ogGetCacheSize = muestra el tamaño de la partición de la caché en KiB
compat-ogMountCache = monta la caché y muestra dónde
compat-ogUnmountCache = desmonta la caché
compat-MountCache = monta la caché y muestra las variables para el guion
compat-MountRepo = monta un repositorio y muestra las variables para el guion
compat-MountStorage = monta el almacenamiento extraíble, todo o uno, y muestra las variables para el guion
compat-createImage = captura una partición en una imagen
compat-restoreImage = pone una imagen en una partición
compat-deleteimage = mueve una imagen a la papelera; -b borra también su copia, -r la recupera
compat-ogIsImageLocked = acaba con 0 si una imagen está bloqueada, con 1 si no
compat-ogLockImage = bloquea una imagen hasta que se desbloquee
compat-ogUnlockImage = desbloquea una imagen
compat-ogGetImageInfo = muestra PROGRAMA:COMPRESOR:SISTEMA:KIB de una imagen
compat-ogGetImageProgram = muestra el programa de una imagen
compat-ogGetImageCompressor = muestra el compresor de una imagen
compat-ogGetImageType = muestra el sistema de ficheros de una imagen
compat-ogGetImageSize = muestra el tamaño en KiB del dispositivo de una imagen
compat-updateCache = trae una imagen a la caché; UpdateCache tiene otro orden
compat-UpdateCache = trae una imagen a la caché; updateCache tiene otro orden
compat-ogUpdateCacheIsNecesary = acaba con 0 si a la caché le falta una imagen del repositorio, con 1 si no
compat-ogDeleteFile = borra un fichero
compat-ogDeleteTree = borra una carpeta con todo su contenido
compat-ogMount = monta una partición, la caché o el disco óptico y muestra dónde
compat-ogUnmount = desmonta una partición, la caché o el disco óptico
compat-ogGetRepoIp = muestra la dirección del servidor que guarda el repositorio
compat-ogIsRepoLocked = acaba con 0 si hay ficheros abiertos del repositorio, con 1 si no
compat-ogRestoreImage = pone una imagen en una partición
compat-deployImage = trae una imagen a la caché y de ahí a una partición, que luego se configura
compat-without-cache = La caché no admite la imagen; se restaura sin ella.
compat-not-configured = No hay configureOs instalado: el sistema restaurado conserva el nombre y los ajustes del modelo.
compat-initCache = crea, conserva o quita la partición de la caché y la monta
compat-ogCreateCache = crea una partición para la caché
compat-ogDeleteCache = quita la partición de la caché con todo su contenido
compat-ogFormatCache = formatea la partición de la caché y la monta
compat-ogGetCacheSpace = muestra los KiB que puede tener una caché
compat-cache-goes = { $device } desaparece con todo su contenido.
compat-no-zstd = El propio OpenGnsys 1 no puede restaurar esta imagen; para él: azud image export { $image } SALIDA --to partclone --compress lzop
compat-not-yet = Este modo de transferencia aún no existe; UNICAST sí.
compat-synchronised = Es una imagen sincronizada, que aún no puede traerse a la caché: «azud image create» crea una que sí.

## El aula

label-done = Hecho
label-left = Falta
label-seen = Hace
label-work = Trabajo
word-done = terminado
word-failed = falló
word-silent = ya no responde
room-empty = Ningún equipo ha informado todavía.
room-copy = { $image } a { $to }
room-ago = hace { $time }
room-told-there = Allí se indicó: { $hint }
room-in = { $detail } (en { $dir })
room-other-manager = Se trata del gestor { $manager }, no de este.

## The manager

label-listen = Escucha en
label-pin = Huella
label-admin-token = Token (admin)
label-read-token = Token (lectura)
label-token-id = Token
label-role = Función
label-made = Hecho
label-token-until = Vale hasta
result-image-sign = Firmada
result-login = Sesión iniciada
result-no-login = Aquí nadie tiene una sesión iniciada en { $host }
result-logout = La sesión queda olvidada aquí
login-prompt = Escriba el código que muestra «azud token code» en el gestor:
token-code-once = Vale una vez, durante cinco minutos. En el cliente: azud login
token-code-bounds = Solo para: { $bounds }
label-token-expires = Hasta
label-token-bounds = Solo para
label-note = Nota
result-serve = Sirviendo imágenes
serve-first = El token solo se muestra esta vez. Haga otros con «azud token create --role read».
serve-clients = En cada cliente: azud repo add { $address } --protocol http{ $port } --pin { $pin } --token-file FICHERO
serve-loopback = Solo llega este equipo; --listen DIRECCIÓN lo abre a otros.
serve-may-not-write = La cuenta que sirve no puede escribir en { $images }: los clientes leen imágenes, pero no se puede enviar ni eliminar nada. Dé el directorio entero a esa cuenta (chown -R), o diga que es así a propósito (--read-only). En azud.service la cuenta es azud, y un directorio que no esté bajo /opt/opengnsys/images necesita además ReadWritePaths= (systemctl edit azud).
serve-repo-elsewhere = En este mismo equipo REPO: significa { $there }, no las imágenes que aquí se sirven: nómbrelas por su ruta ({ $images }/NOMBRE). Para que REPO: las signifique, ponga en { $config }: serving = true, y bajo [serve]: images = "{ $images }"
serve-repo-nothing = En este mismo equipo REPO: no significa nada: nombre las imágenes por su ruta ({ $images }/NOMBRE). Para que REPO: las signifique, ponga en { $config }: serving = true, y bajo [serve]: images = "{ $images }"
token-ended = { $end } (caducado)
token-once = Solo se muestra esta vez.
result-token-revoke = Revocado
warn-not-pinned = No se ha dicho --pin: compare la huella con la que muestra el gestor al arrancar.
warn-login-outlives = La sesión en { $host } se olvida solo aquí: su token sigue valiendo allí hasta { $until }. «azud token revoke { $id }», en el gestor, lo retira enseguida.
warn-login-replaced = La sesión en { $host } se olvida: desde ahora cuenta el token que se da aquí. El de la sesión sigue valiendo allí hasta { $until }; «azud token revoke { $id }», en el gestor, lo retira enseguida.
warn-lesser-token = El token que se guarda para { $address } es para { $before ->
    [admin] administrar
   *[write] escribir
}; este, solo para { $now ->
    [write] escribir
   *[read] leer
}.
warn-no-manager-then = { $address } se conoce como gestor. Entonces deja de serlo, y se borra lo que se guarda de él.
value-port = PUERTO
value-pin = HUELLA
value-duration = DURACIÓN
value-subnet = SUBRED
value-pattern = PATRÓN
value-text = TEXTO
value-role = FUNCIÓN
value-id = ID
